import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Map;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** What signs assertions, and what the system shows in TLS; PEM files of the sandbox. */
record Keys(PrivateKey key, X509Certificate certificate, SSLContext tls, Map<String, String> given) {
    Keys(Map<String, String> given) throws GeneralSecurityException, IOException {
        this(key(given, "saml"), certificate(given.get("saml_cert")), context(given), given);
    }

    /** Signs with the key of the TLS certificate, which is of the same authority and no issuer of assertions. */
    Keys node() throws GeneralSecurityException, IOException {
        return new Keys(key(given, "client"), certificate(given.get("client_cert")), tls, given);
    }

    private static X509Certificate certificate(String file) throws GeneralSecurityException, IOException {
        var raw = new ByteArrayInputStream(Files.readAllBytes(Path.of(file)));
        return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(raw);
    }

    private static PrivateKey key(Map<String, String> given, String name) throws GeneralSecurityException, IOException {
        var text = Files.readString(Path.of(given.get(name + "_key"))).replaceAll("-----[A-Z ]+-----", "");
        var factory = KeyFactory.getInstance(certificate(given.get(name + "_cert")).getPublicKey().getAlgorithm());
        return factory.generatePrivate(new PKCS8EncodedKeySpec(Base64.getMimeDecoder().decode(text)));
    }

    private static SSLContext context(Map<String, String> given) throws GeneralSecurityException, IOException {
        char[] none = new char[0];
        var own = KeyStore.getInstance("PKCS12");
        own.load(null, none);
        own.setKeyEntry("node", key(given, "client"), none, new X509Certificate[] {certificate(given.get("client_cert"))});
        var keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        keys.init(own, none);
        var known = KeyStore.getInstance("PKCS12");
        known.load(null, none);
        known.setCertificateEntry("ca", certificate(given.get("ca")));
        var trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trusted.init(known);
        var context = SSLContext.getInstance("TLS");
        context.init(keys.getKeyManagers(), trusted.getTrustManagers(), null);
        return context;
    }
}
