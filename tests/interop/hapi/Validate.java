import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.validation.FhirValidator;
import ca.uhn.fhir.validation.SingleValidationMessage;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;

/**
 * One FHIR R4 resource a line on standard input, JSON or XML; for every issue a line: number, severity, place, what it
 * says; for every resource that came as XML what it is as JSON: number, "json", "", the text.
 */
public class Validate {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        System.setOut(System.err);  // what libraries say is no issue
        FhirContext context = FhirContext.forR4();
        FhirInstanceValidator module = new FhirInstanceValidator(new ValidationSupportChain(
            new DefaultProfileValidationSupport(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new CommonCodeSystemsTerminologyService(context)));
        module.setAnyExtensionsAllowed(true);
        module.setErrorForUnknownProfiles(false);
        module.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
        FhirValidator validator = context.newValidator().registerValidatorModule(module);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        int number = 0;
        for (String line = lines.readLine(); line != null; line = lines.readLine(), number++) {
            for (SingleValidationMessage issue : validator.validateWithResult(line).getMessages()) {
                String told = issue.getMessage().replaceAll("\\s+", " ");
                out.println(number + "\t" + issue.getSeverity() + "\t" + issue.getLocationString() + "\t" + told);
            }
            if (line.startsWith("<")) {
                IBaseResource read = context.newXmlParser().parseResource(line);
                String text = context.newJsonParser().setPrettyPrint(false).encodeResourceToString(read);
                out.println(number + "\tjson\t\t" + text.replaceAll("[\r\n]+", " "));
            }
        }
        out.println("judged\t" + number);
        out.flush();
    }
}
