import jakarta.xml.bind.JAXBContext;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.openehealth.ipf.commons.ihe.xds.XDS;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.EbXMLProvideAndRegisterDocumentSetRequest30;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.ProvideAndRegisterDocumentSetRequestType;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.ProvideAndRegisterDocumentSetRequestValidator;

/** Reads requests of ITI-41, each in base64 on a line; prints for each "ok" or what IPF's validator says. */
public class Judge {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        JAXBContext context = JAXBContext.newInstance(ProvideAndRegisterDocumentSetRequestType.class);
        for (String line : new String(System.in.readAllBytes(), StandardCharsets.US_ASCII).split("\n")) {
            byte[] xml = Base64.getDecoder().decode(line.trim());
            var source = new javax.xml.transform.stream.StreamSource(new java.io.ByteArrayInputStream(xml));
            var request = context.createUnmarshaller()
                    .unmarshal(source, ProvideAndRegisterDocumentSetRequestType.class).getValue();
            try {
                ProvideAndRegisterDocumentSetRequestValidator.getInstance().validate(
                        new EbXMLProvideAndRegisterDocumentSetRequest30(request),
                        XDS.Interactions.ITI_41);
                out.println("ok");
            } catch (RuntimeException problem) {
                out.println(String.valueOf(problem.getMessage()).replaceAll("\\s+", " "));
            }
        }
    }
}
