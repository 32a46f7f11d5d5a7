import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import org.openehealth.ipf.commons.ihe.hl7v3.Hl7v3ClientFactory;
import org.openehealth.ipf.commons.ihe.hl7v3.Hl7v3ContinuationsPortType;
import org.openehealth.ipf.commons.ihe.hl7v3.Hl7v3WsTransactionConfiguration;
import org.openehealth.ipf.commons.ihe.hl7v3.PDQV3;
import org.openehealth.ipf.commons.ihe.hl7v3.PIXV3;
import org.openehealth.ipf.commons.ihe.hl7v3.iti44.GenericIti44PortType;
import org.openehealth.ipf.commons.ihe.hl7v3.iti45.Iti45PortType;
import org.openehealth.ipf.commons.xml.CombinedXmlValidator;

/**
 * Standard input: lines of operation, URL and message (base64), separated by blanks. Standard output: of every line "ok" or
 * what is wrong, a tab, and the answer (base64). Every request and every response passes IPF's validator of the transaction.
 */
public final class Messages {
    private static final CombinedXmlValidator VALIDATOR = new CombinedXmlValidator();

    private Messages() {}

    public static void main(String[] arguments) throws IOException {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split(" ");
            String answer = "";
            String outcome = "ok";
            try {
                answer = send(parts[0], parts[1], new String(Base64.getDecoder().decode(parts[2]), StandardCharsets.UTF_8));
                VALIDATOR.validate(answer, configuration(parts[0]).getResponseValidationProfile());
            } catch (Exception problem) {
                outcome = String.valueOf(problem).replaceAll("\\s+", " ");
            }
            out.println(outcome + "\t" + Base64.getEncoder().encodeToString(answer.getBytes(StandardCharsets.UTF_8)));
        }
    }

    private static Hl7v3WsTransactionConfiguration configuration(String operation) {
        return switch (operation) {
            case "add", "revise", "merge" -> PIXV3.Interactions.ITI_44_PIX.getWsTransactionConfiguration();
            case "pix" -> PIXV3.Interactions.ITI_45.getWsTransactionConfiguration();
            default -> PDQV3.Interactions.ITI_47.getWsTransactionConfiguration();
        };
    }

    private static String send(String operation, String url, String message) {
        var configuration = configuration(operation);
        VALIDATOR.validate(message, configuration.getRequestValidationProfile());
        var factory = new Hl7v3ClientFactory(
                configuration, url, null, null, null, List.of(), Map.of(), null, null, null);
        Object port = factory.getClient();
        return switch (operation) {
            case "add" -> ((GenericIti44PortType) port).recordAdded(message);
            case "revise" -> ((GenericIti44PortType) port).recordRevised(message);
            case "merge" -> ((GenericIti44PortType) port).duplicatesResolved(message);
            case "pix" -> ((Iti45PortType) port).getIdentifiers(message);
            case "pdq" -> ((Hl7v3ContinuationsPortType) port).operation(message);
            case "continue" -> ((Hl7v3ContinuationsPortType) port).continuation(message);
            case "cancel" -> ((Hl7v3ContinuationsPortType) port).cancel(message);
            default -> throw new IllegalArgumentException(operation);
        };
    }
}
