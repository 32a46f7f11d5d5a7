import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.cxf.binding.soap.SoapHeader;
import org.apache.cxf.configuration.jsse.TLSClientParameters;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.headers.Header;
import org.apache.cxf.transport.http.HTTPConduit;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssigningAuthority;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AvailabilityStatus;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Document;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.requests.DocumentReference;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Response;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Status;
import org.w3c.dom.Element;

/** IPF's clients with an assertion about their user (ITI-40) in every request. Input and output as of {@code Scenarios}. */
public final class Xua {
    private static final byte[] REPORT = "<ClinicalDocument>Avec assertion</ClinicalDocument>".getBytes(StandardCharsets.UTF_8);

    private final Map<String, String> given;
    private final Keys keys;
    private final Identifiable patient;
    private DocumentEntry provided;

    private Xua(Map<String, String> given) throws Exception {
        this.given = given;
        this.keys = new Keys(given);
        this.patient = new Identifiable(given.get("patient"), new AssigningAuthority(given.get("domain")));
    }

    private interface Scenario {
        void play() throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Map<String, String> given = new LinkedHashMap<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            given.put(line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1));
        }
        new Xua(given).all().forEach((name, scenario) -> out.println(name + "\t" + outcome(scenario)));
        System.exit(0);  // CXF's threads would keep the program running
    }

    private static String outcome(Scenario scenario) {
        try {
            scenario.play();
            return "ok";
        } catch (Exception | AssertionError problem) {
            var where = Arrays.stream(problem.getStackTrace()).filter(frame -> frame.getClassName().equals("Xua")).limit(3);
            return (problem + " at " + where.toList()).replaceAll("\\s+", " ");
        }
    }

    private Map<String, Scenario> all() {
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("ITI-41", this::provide);
        scenarios.put("ITI-18", this::find);
        scenarios.put("ITI-43", this::retrieve);
        scenarios.put("expired", () -> refused(Assertion.of(given).ends(-300).signed(keys)));
        scenarios.put("altered", () -> refused(altered()));
        scenarios.put("another key", () -> refused(Assertion.of(given).signed(keys.node())));
        scenarios.put("replayed", this::replay);
        return scenarios;
    }

    private Element good() throws Exception {
        return Assertion.of(given).signed(keys);
    }

    private void provide() throws Exception {
        var samples = new Samples(patient);
        provided = samples.entry();
        success(hub(good()).provide(ProvideAndRegisterDocumentSet.supportiveBuilderWith(samples.set())
                .withDocument(new Document(provided, Samples.content(REPORT))).build()));
    }

    private void find() throws Exception {
        var answer = hub(good()).query(query());
        success(answer);
        check(answer.getDocumentEntries().stream().anyMatch(one -> one.getUniqueId().equals(provided.getUniqueId())),
                "the document among those found");
    }

    private void retrieve() throws Exception {
        var request = new RetrieveDocumentSet();
        request.getDocuments().add(new DocumentReference(given.get("repositoryUniqueId"), provided.getUniqueId(), null));
        var answer = hub(good()).retrieve(request);
        success(answer);
        var bytes = answer.getDocuments().get(0).getDataHandler().getInputStream().readAllBytes();
        check(Arrays.equals(REPORT, bytes), "the same bytes");
    }

    private Element altered() throws Exception {
        Element assertion = good();
        var named = assertion.getElementsByTagNameNS(Assertion.SAML, "NameID").item(0);
        named.setTextContent("899700000666");
        return assertion;
    }

    private void replay() throws Exception {
        Element assertion = good();
        success(hub(assertion).query(query()));
        refused(assertion);
    }

    /** A question with the assertion is refused. */
    private void refused(Element assertion) {
        try {
            var answer = hub(assertion).query(query());
            throw new AssertionError("expected a fault, not " + answer.getStatus());
        } catch (RuntimeException fault) {
            var told = new StringBuilder();
            for (Throwable cause = fault; cause != null; cause = cause.getCause()) {
                told.append(cause).append(' ');
            }
            check(told.toString().contains(given.get("refusal")), "a refusal, not " + told);
        }
    }

    private FindDocumentsQuery query() {
        var query = new FindDocumentsQuery();
        query.setPatientId(patient);
        query.setStatus(List.of(AvailabilityStatus.APPROVED));
        return query;
    }

    private Hub hub(Element assertion) {
        return new Hub(given, client -> prepare(client, assertion));
    }

    /** TLS with a certificate of the system's own, and the assertion in a wsse:Security that has to be understood. */
    private void prepare(Client client, Element assertion) {
        var tls = new TLSClientParameters();
        tls.setSslContext(keys.tls());
        ((HTTPConduit) client.getConduit()).setTlsClientParameters(tls);
        var header = new SoapHeader(Assertion.SECURITY, Assertion.security(assertion));
        header.setMustUnderstand(true);
        client.getRequestContext().put(Header.HEADER_LIST, new ArrayList<Header>(List.of(header)));
    }

    private static void success(Response response) {
        check(response.getStatus() == Status.SUCCESS, "success, not " + response.getErrors());
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("expected " + what);
        }
    }
}
