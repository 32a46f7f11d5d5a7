import jakarta.activation.DataHandler;
import jakarta.mail.util.ByteArrayDataSource;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.UUID;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssigningAuthority;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Author;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Code;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.CXiAssigningAuthority;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.LocalizedString;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Organization;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Person;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.ReferenceId;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.SubmissionSet;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.XcnName;

/** What IPF's clients submit: a patient's documents with metadata of every kind. */
final class Samples {
    private final Identifiable patient;

    Samples(Identifiable patient) {
        this.patient = patient;
    }

    DocumentEntry entry() {
        DocumentEntry entry = new DocumentEntry();
        entry.assignUniqueId();
        entry.assignEntryUuid();
        entry.setPatientId(patient);
        entry.setSourcePatientId(new Identifiable("4711", new AssigningAuthority("1.2.3.4")));
        entry.setMimeType("text/xml");
        entry.setLanguageCode("fr-FR");
        entry.setCreationTime("20260101120000");
        entry.setTitle(new LocalizedString("Compte rendu d'échographie"));
        entry.setClassCode(code("11"));
        entry.setTypeCode(code("18748-4"));
        entry.setFormatCode(code("FMT"));
        entry.setPracticeSettingCode(code("RAD"));
        entry.setHealthcareFacilityTypeCode(code("SA01"));
        entry.getConfidentialityCodes().add(code("N"));
        entry.getEventCodeList().add(code("US"));
        entry.getReferenceIdList().add(new ReferenceId(
                entry.getUniqueId(), new CXiAssigningAuthority(null, "1.2.9", "ISO"), ReferenceId.ID_TYPE_CODE_ACCESSION));
        entry.getAuthors().add(author());
        return entry;
    }

    Author author() {
        XcnName name = new XcnName();
        name.setFamilyName("MARTIN");
        name.setGivenName("Zoé");
        Author author = new Author();
        author.setAuthorPerson(new Person(new Identifiable("801", new AssigningAuthority("1.2.250.1.71.4.2.1")), name));
        author.getAuthorInstitution().add(new Organization("CHU", "750000001", new AssigningAuthority("1.2.250.1.71.4.2.2")));
        return author;
    }

    SubmissionSet set() {
        SubmissionSet set = new SubmissionSet();
        set.assignUniqueId();
        set.assignEntryUuid();
        set.setPatientId(patient);
        set.setSourceId("1.2.250.1.999.60");
        set.setSubmissionTime("20260101120000");
        set.setContentTypeCode(code("04"));
        set.setAuthor(author());
        return set;
    }

    static Code code(String value) {
        return new Code(value, new LocalizedString(value), "1.2.250.1.999.50");
    }

    static DataHandler content(byte[] bytes) {
        return new DataHandler(new ByteArrayDataSource(bytes, "text/xml"));
    }

    static String urn() {
        return "urn:uuid:" + UUID.randomUUID();
    }

    static String sha1(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-1").digest(bytes));
    }
}
