import java.io.StringReader;
import java.io.StringWriter;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import javax.xml.crypto.dsig.CanonicalizationMethod;
import javax.xml.crypto.dsig.DigestMethod;
import javax.xml.crypto.dsig.SignatureMethod;
import javax.xml.crypto.dsig.Transform;
import javax.xml.crypto.dsig.XMLSignatureFactory;
import javax.xml.crypto.dsig.dom.DOMSignContext;
import javax.xml.crypto.dsig.spec.C14NMethodParameterSpec;
import javax.xml.crypto.dsig.spec.TransformParameterSpec;
import javax.xml.namespace.QName;
import javax.xml.parsers.DocumentBuilder;
import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;
import javax.xml.transform.TransformerFactory;
import javax.xml.transform.dom.DOMSource;
import javax.xml.transform.stream.StreamResult;
import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.xml.sax.InputSource;

/** A SAML 2.0 assertion about a professional (ITI-40), signed by the JDK's own XML signatures. */
record Assertion(Map<String, String> given, long ends) {
    static final String SAML = "urn:oasis:names:tc:SAML:2.0:assertion";
    static final QName SECURITY = new QName(
            "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd", "Security", "wsse");
    private static final String HL7 = "urn:hl7-org:v3";
    private static final String XSI = "http://www.w3.org/2001/XMLSchema-instance";
    private static final String XSPA = "urn:oasis:names:tc:xspa:1.0:subject:";

    static Assertion of(Map<String, String> given) {
        return new Assertion(given, 300);
    }

    /** Good until so many seconds from now. */
    Assertion ends(long seconds) {
        return new Assertion(given, seconds);
    }

    Element signed(Keys keys) throws Exception {
        Element assertion = read(unsigned());
        assertion.setIdAttribute("ID", true);
        var factory = XMLSignatureFactory.getInstance("DOM");
        var exclusive = factory.newCanonicalizationMethod(CanonicalizationMethod.EXCLUSIVE, (C14NMethodParameterSpec) null);
        var transforms = List.of(
                factory.newTransform(Transform.ENVELOPED, (TransformParameterSpec) null),
                factory.newTransform(CanonicalizationMethod.EXCLUSIVE, (TransformParameterSpec) null));
        var reference = factory.newReference("#" + assertion.getAttribute("ID"),
                factory.newDigestMethod(DigestMethod.SHA256, null), transforms, null, null);
        String algorithm = keys.key().getAlgorithm().equals("RSA")
                ? "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" : "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
        SignatureMethod method = factory.newSignatureMethod(algorithm, null);
        var information = factory.getKeyInfoFactory();
        var shown = information.newKeyInfo(List.of(information.newX509Data(List.of(keys.certificate()))));
        var context = new DOMSignContext(keys.key(), assertion, assertion.getFirstChild().getNextSibling());
        context.setDefaultNamespacePrefix("ds");
        factory.newXMLSignature(factory.newSignedInfo(exclusive, method, List.of(reference)), shown).sign(context);
        return assertion;
    }

    /** The header that an assertion travels in. */
    static Element security(Element assertion) {
        Element header = document().createElementNS(SECURITY.getNamespaceURI(), "wsse:Security");
        header.appendChild(header.getOwnerDocument().importNode(assertion, true));
        return header;
    }

    private Element unsigned() {
        Document document = document();
        Element assertion = document.createElementNS(SAML, "saml:Assertion");
        document.appendChild(assertion);
        assertion.setAttribute("ID", "_" + UUID.randomUUID());
        assertion.setAttribute("Version", "2.0");
        assertion.setAttribute("IssueInstant", at(Math.min(-5, ends - 300)));
        add(assertion, "Issuer").setTextContent(given.get("issuer"));
        Element subject = add(assertion, "Subject");
        add(subject, "NameID").setTextContent(given.get("user"));
        add(subject, "SubjectConfirmation").setAttribute("Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer");
        Element conditions = add(assertion, "Conditions");
        conditions.setAttribute("NotBefore", at(Math.min(-5, ends - 300)));
        conditions.setAttribute("NotOnOrAfter", at(ends));
        add(add(conditions, "AudienceRestriction"), "Audience").setTextContent(given.get("audience"));
        Element statement = add(assertion, "AuthnStatement");
        statement.setAttribute("AuthnInstant", at(Math.min(-5, ends - 300)));
        add(add(statement, "AuthnContext"), "AuthnContextClassRef")
                .setTextContent("urn:oasis:names:tc:SAML:2.0:ac:classes:X509");
        Element attributes = add(assertion, "AttributeStatement");
        attribute(attributes, XSPA + "subject-id").setTextContent(given.get("name"));
        attribute(attributes, XSPA + "organization").setTextContent("Cabinet du Port");
        Element role = attribute(attributes, "urn:oasis:names:tc:xacml:2.0:subject:role");
        role.appendChild(coded(document, "Role", "10", "1.2.250.1.71.1.2.7"));
        Element purpose = attribute(attributes, XSPA + "purposeofuse");
        purpose.appendChild(coded(document, "PurposeOfUse", "normal", "1.2.250.1.213.1.1.4.248"));
        return assertion;
    }

    private static Element attribute(Element statement, String name) {
        Element attribute = add(statement, "Attribute");
        attribute.setAttribute("Name", name);
        return add(attribute, "AttributeValue");
    }

    private static Element coded(Document document, String name, String code, String system) {
        Element coded = document.createElementNS(HL7, name);
        coded.setAttributeNS(XSI, "xsi:type", "CE");
        coded.setAttribute("code", code);
        coded.setAttribute("codeSystem", system);
        return coded;
    }

    private static Element add(Element parent, String name) {
        Element child = parent.getOwnerDocument().createElementNS(SAML, "saml:" + name);
        parent.appendChild(child);
        return child;
    }

    private static String at(long seconds) {
        return Instant.now().plusSeconds(seconds).truncatedTo(ChronoUnit.MILLIS).toString();
    }

    /** Written and read again: only then are the declarations of namespaces, which are signed, nodes of the tree. */
    private static Element read(Element made) throws Exception {
        var text = new StringWriter();
        TransformerFactory.newInstance().newTransformer().transform(new DOMSource(made), new StreamResult(text));
        return builder().parse(new InputSource(new StringReader(text.toString()))).getDocumentElement();
    }

    private static Document document() {
        return builder().newDocument();
    }

    private static DocumentBuilder builder() {
        try {
            var factory = DocumentBuilderFactory.newInstance();
            factory.setNamespaceAware(true);
            return factory.newDocumentBuilder();
        } catch (ParserConfigurationException problem) {
            throw new IllegalStateException(problem);
        }
    }
}
