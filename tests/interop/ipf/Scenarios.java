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
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssigningAuthority;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Association;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationLabel;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AssociationType;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.AvailabilityStatus;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Document;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.DocumentEntry;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Folder;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.Identifiable;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.LocalizedString;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.ObjectReference;
import org.openehealth.ipf.commons.ihe.xds.core.metadata.SubmissionSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.DocumentReference;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveDocuments;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveMetadata;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveImagingDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveSeries;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveStudy;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindDocumentsByReferenceIdQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindFoldersQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.FindSubmissionSetsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetAllQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetAssociationsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetFolderAndContentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetRelatedDocumentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.GetSubmissionSetAndContentsQuery;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.QueryList;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.QueryReturnType;
import org.openehealth.ipf.commons.ihe.xds.core.responses.ErrorCode;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Response;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Status;

/** Standard input: {@code key=value} lines. Standard output: of every scenario its name, a tab, and "ok" or what is wrong. */
public final class Scenarios {
    private static final byte[] REPORT = "<ClinicalDocument>Échographie</ClinicalDocument>".repeat(4000)
            .getBytes(StandardCharsets.UTF_8);
    private static final List<AvailabilityStatus> ANY = List.of(AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED);

    private final Map<String, String> given;
    private final Hub hub;
    private final Identifiable patient;
    private final Samples samples;

    private Scenarios(Map<String, String> given) {
        this.given = given;
        this.hub = new Hub(given);
        this.patient = new Identifiable(given.get("patient"), new AssigningAuthority(given.get("domain")));
        this.samples = new Samples(patient);
    }

    private interface Scenario {
        void play() throws Exception;
    }

    public static void main(String[] arguments) throws IOException {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Map<String, String> given = new LinkedHashMap<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            given.put(line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1));
        }
        new Scenarios(given).all().forEach((name, scenario) -> out.println(name + "\t" + outcome(scenario)));
        System.exit(0);  // CXF's threads would keep the program running
    }

    private static String outcome(Scenario scenario) {
        try {
            scenario.play();
            return "ok";
        } catch (Exception | AssertionError problem) {
            var where = Arrays.stream(problem.getStackTrace())
                    .filter(frame -> frame.getClassName().equals("Scenarios")).limit(3)
                    .map(frame -> frame.getMethodName() + ":" + frame.getLineNumber()).collect(Collectors.joining(" < "));
            return (problem + " at " + where).replaceAll("\\s+", " ");
        }
    }

    private Map<String, Scenario> all() {
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("ITI-41 ITI-18 ITI-43", this::provideFindRetrieve);
        scenarios.put("ITI-42", this::register);
        scenarios.put("ITI-18 of every kind", this::queries);
        scenarios.put("ITI-41 replacement", this::replace);
        scenarios.put("ITI-57 new version", this::update);
        scenarios.put("ITI-57 status", this::deprecate);
        scenarios.put("ITI-62", this::delete);
        scenarios.put("ITI-86", this::remove);
        scenarios.put("RAD-69", this::images);
        scenarios.put("refusals", this::refusals);
        return scenarios;
    }

    private void provideFindRetrieve() throws Exception {
        DocumentEntry entry = samples.entry();
        SubmissionSet set = samples.set();
        success(provide(set, entry, REPORT));
        DocumentEntry found = found(entry);
        equal(entry.getUniqueId(), found.getUniqueId(), "uniqueId");
        equal(patient, found.getPatientId(), "patientId");
        equal(AvailabilityStatus.APPROVED, found.getAvailabilityStatus(), "availabilityStatus");
        equal(entry.getClassCode(), found.getClassCode(), "classCode");
        equal(entry.getTypeCode(), found.getTypeCode(), "typeCode");
        equal(entry.getFormatCode(), found.getFormatCode(), "formatCode");
        equal(entry.getConfidentialityCodes(), found.getConfidentialityCodes(), "confidentialityCode");
        equal(entry.getEventCodeList(), found.getEventCodeList(), "eventCodeList");
        equal(entry.getPracticeSettingCode(), found.getPracticeSettingCode(), "practiceSettingCode");
        equal(entry.getHealthcareFacilityTypeCode(), found.getHealthcareFacilityTypeCode(), "healthcareFacilityTypeCode");
        equal(entry.getAuthors(), found.getAuthors(), "authors");
        equal(entry.getReferenceIdList(), found.getReferenceIdList(), "referenceIdList");
        equal(entry.getTitle().getValue(), found.getTitle().getValue(), "title");
        equal(entry.getCreationTime(), found.getCreationTime(), "creationTime");
        equal(entry.getLanguageCode(), found.getLanguageCode(), "languageCode");
        equal(entry.getMimeType(), found.getMimeType(), "mimeType");
        equal((long) REPORT.length, found.getSize(), "size");
        equal(Samples.sha1(REPORT), found.getHash(), "hash");
        equal(given.get("repositoryUniqueId"), found.getRepositoryUniqueId(), "repositoryUniqueId");

        var answer = hub.retrieve(wanted(found.getUniqueId()));
        success(answer);
        equal(1, answer.getDocuments().size(), "documents");
        var document = answer.getDocuments().get(0);
        equal(found.getUniqueId(), document.getRequestData().getDocumentUniqueId(), "retrieved uniqueId");
        equal("text/xml", document.getMimeType(), "retrieved mimeType");
        check(Arrays.equals(REPORT, document.getDataHandler().getInputStream().readAllBytes()), "the same bytes");
    }

    private void register() throws Exception {
        DocumentEntry entry = samples.entry();
        entry.setRepositoryUniqueId("1.2.250.1.999.77");
        entry.setHash(Samples.sha1(REPORT));
        entry.setSize((long) REPORT.length);
        success(hub.register(RegisterDocumentSet.supportiveBuilderWith(samples.set()).withDocument(entry).build()));
        equal("1.2.250.1.999.77", found(entry).getRepositoryUniqueId(), "repositoryUniqueId");
    }

    private void queries() throws Exception {
        DocumentEntry entry = samples.entry();
        SubmissionSet set = samples.set();
        Folder folder = new Folder();
        folder.assignUniqueId();
        folder.assignEntryUuid();
        folder.setPatientId(patient);
        folder.setTitle(new LocalizedString("Dossier d'imagerie"));
        folder.getCodeList().add(Samples.code("DOSSIER"));
        var member = new Association(
                AssociationType.HAS_MEMBER, Samples.urn(), folder.getEntryUuid(), entry.getEntryUuid());
        success(hub.provide(ProvideAndRegisterDocumentSet.supportiveBuilderWith(set)
                .withDocument(new Document(entry, Samples.content(REPORT))).withFolder(folder).withAssociation(member).build()));

        var find = find();
        find.setClassCodes(List.of(entry.getClassCode()));
        find.getCreationTime().setFrom("20260101");
        find.getCreationTime().setTo("20260102");
        var references = hub.query(find, QueryReturnType.OBJECT_REF);
        check(references.getReferences().stream().anyMatch(one -> one.getId().equals(entry.getEntryUuid())), "ObjectRef");
        check(references.getDocumentEntries().isEmpty(), "no LeafClass");
        find.getCreationTime().setFrom("20260102");
        find.getCreationTime().setTo("20260103");
        check(hub.query(find).getDocumentEntries().isEmpty(), "creationTime is half open");

        var byReference = new FindDocumentsByReferenceIdQuery();
        byReference.setPatientId(patient);
        byReference.setStatus(List.of(AvailabilityStatus.APPROVED));
        byReference.setTypedReferenceIds(new QueryList<>(entry.getReferenceIdList().get(0)));
        equal(Set.of(entry.getUniqueId()), uniqueIds(hub.query(byReference).getDocumentEntries()), "by reference id");

        var folders = new FindFoldersQuery();
        folders.setPatientId(patient);
        folders.setStatus(List.of(AvailabilityStatus.APPROVED));
        folders.setCodes(new QueryList<>(Samples.code("DOSSIER")));
        check(hub.query(folders).getFolders().stream().anyMatch(
                one -> one.getUniqueId().equals(folder.getUniqueId()) && one.getLastUpdateTime() != null), "FindFolders");

        var contents = new GetFolderAndContentsQuery();
        contents.setUniqueId(folder.getUniqueId());
        var opened = hub.query(contents);
        equal(1, opened.getFolders().size(), "GetFolderAndContents: folder");
        equal(Set.of(entry.getUniqueId()), uniqueIds(opened.getDocumentEntries()), "GetFolderAndContents: entry");
        equal(1, opened.getAssociations().size(), "GetFolderAndContents: association");

        var sets = new FindSubmissionSetsQuery();
        sets.setPatientId(patient);
        sets.setStatus(List.of(AvailabilityStatus.APPROVED));
        sets.setSourceIds(List.of(set.getSourceId()));
        check(hub.query(sets).getSubmissionSets().stream().anyMatch(
                one -> one.getUniqueId().equals(set.getUniqueId())), "FindSubmissionSets");

        var whole = new GetSubmissionSetAndContentsQuery();
        whole.setUniqueId(set.getUniqueId());
        var submitted = hub.query(whole);
        equal(1, submitted.getSubmissionSets().size(), "GetSubmissionSetAndContents: set");
        equal(1, submitted.getFolders().size(), "GetSubmissionSetAndContents: folder");
        equal(Set.of(entry.getUniqueId()), uniqueIds(submitted.getDocumentEntries()), "GetSubmissionSetAndContents: entry");
        equal(4, submitted.getAssociations().size(), "GetSubmissionSetAndContents: associations");

        var associations = new GetAssociationsQuery();
        associations.setUuids(List.of(entry.getEntryUuid()));
        equal(2, hub.query(associations).getAssociations().size(), "GetAssociations");

        var all = new GetAllQuery();
        all.setPatientId(patient);
        all.setStatusDocuments(ANY);
        all.setStatusFolders(ANY);
        all.setStatusSubmissionSets(ANY);
        var everything = hub.query(all);
        check(uniqueIds(everything.getDocumentEntries()).contains(entry.getUniqueId()), "GetAll: entry");
        check(!everything.getFolders().isEmpty() && !everything.getSubmissionSets().isEmpty(), "GetAll: packages");
    }

    private void replace() throws Exception {
        DocumentEntry old = samples.entry();
        success(provide(samples.set(), old, REPORT));
        DocumentEntry entry = samples.entry();
        byte[] second = "<second/>".getBytes(StandardCharsets.UTF_8);
        var replacement = new Association(AssociationType.REPLACE, Samples.urn(), entry.getEntryUuid(), old.getEntryUuid());
        success(hub.provide(ProvideAndRegisterDocumentSet.supportiveBuilderWith(samples.set())
                .withDocument(new Document(entry, Samples.content(second))).withAssociation(replacement).build()));
        equal(AvailabilityStatus.DEPRECATED, byUuid(old).getAvailabilityStatus(), "the replaced entry");
        equal(AvailabilityStatus.APPROVED, byUuid(entry).getAvailabilityStatus(), "the new entry");
        var related = new GetRelatedDocumentsQuery();
        related.setUuid(entry.getEntryUuid());
        related.setAssociationTypes(List.of(AssociationType.REPLACE));
        var found = hub.query(related);
        equal(Set.of(old.getUniqueId(), entry.getUniqueId()), uniqueIds(found.getDocumentEntries()), "related entries");
        equal(AssociationType.REPLACE, found.getAssociations().get(0).getAssociationType(), "relation");
    }

    private void update() throws Exception {
        DocumentEntry entry = samples.entry();
        success(provide(samples.set(), entry, REPORT));
        DocumentEntry changed = found(entry);
        equal(changed.getEntryUuid(), changed.getLogicalUuid(), "logicalId of a first version");
        equal("1", changed.getVersion().getVersionName(), "first version");
        changed.setEntryUuid(Samples.urn());
        changed.setTitle(new LocalizedString("Titre corrigé"));
        changed.setAvailabilityStatus(null);
        changed.setVersion(null);
        changed.setHomeCommunityId(null);
        SubmissionSet set = samples.set();
        var member = new Association(AssociationType.HAS_MEMBER, Samples.urn(), set.getEntryUuid(), changed.getEntryUuid());
        member.setLabel(AssociationLabel.ORIGINAL);
        member.setPreviousVersion("1");
        success(hub.update(RegisterDocumentSet.builderWith(set).withDocument(changed).withAssociation(member).build()));
        DocumentEntry now = found(entry);
        equal("Titre corrigé", now.getTitle().getValue(), "title");
        equal("2", now.getVersion().getVersionName(), "version");
        equal(entry.getEntryUuid(), now.getLogicalUuid(), "logicalId");
        equal(AvailabilityStatus.DEPRECATED, byUuid(entry).getAvailabilityStatus(), "the first version");
    }

    private void deprecate() throws Exception {
        DocumentEntry entry = samples.entry();
        success(provide(samples.set(), entry, REPORT));
        SubmissionSet set = samples.set();
        var change = new Association(
                AssociationType.UPDATE_AVAILABILITY_STATUS, Samples.urn(), set.getEntryUuid(), entry.getEntryUuid());
        change.setOriginalStatus(AvailabilityStatus.APPROVED);
        change.setNewStatus(AvailabilityStatus.DEPRECATED);
        success(hub.update(RegisterDocumentSet.builderWith(set).withAssociation(change).build()));
        equal(AvailabilityStatus.DEPRECATED, byUuid(entry).getAvailabilityStatus(), "availabilityStatus");
    }

    private void delete() throws Exception {
        DocumentEntry entry = samples.entry();
        SubmissionSet set = samples.set();
        success(provide(set, entry, REPORT));
        var request = new RemoveMetadata();
        request.getReferences().add(new ObjectReference(entry.getEntryUuid()));
        refused(hub.delete(request), ErrorCode.UNREFERENCED_OBJECT_EXCEPTION, ErrorCode.REFERENCE_EXISTS_EXCEPTION);
        var associations = new GetAssociationsQuery();
        associations.setUuids(List.of(entry.getEntryUuid()));
        hub.query(associations).getAssociations().forEach(
                one -> request.getReferences().add(new ObjectReference(one.getEntryUuid())));
        request.getReferences().add(new ObjectReference(set.getEntryUuid()));
        success(hub.delete(request));
        var get = new GetDocumentsQuery();
        get.setUuids(List.of(entry.getEntryUuid()));
        check(hub.query(get).getDocumentEntries().isEmpty(), "the entry is gone");
    }

    private void remove() throws Exception {
        DocumentEntry entry = samples.entry();
        success(provide(samples.set(), entry, REPORT));
        var request = new RemoveDocuments();
        request.getDocuments().add(new DocumentReference(given.get("repositoryUniqueId"), entry.getUniqueId(), null));
        var answer = hub.remove(request);
        if (answer.getStatus() != Status.SUCCESS) {  // a hub may ask that the entry be deleted or deprecated first
            refused(answer, ErrorCode.REMOVE_DOCUMENTS_ERROR);
            delete(entry);
            success(hub.remove(request));
        }
        refused(hub.retrieve(wanted(entry.getUniqueId())), ErrorCode.DOCUMENT_UNIQUE_ID_ERROR);
        refused(hub.remove(request), ErrorCode.DOCUMENT_UNIQUE_ID_ERROR, ErrorCode.REMOVE_DOCUMENTS_ERROR);
    }

    private void delete(DocumentEntry entry) {
        var request = new RemoveMetadata();
        request.getReferences().add(new ObjectReference(entry.getEntryUuid()));
        var associations = new GetAssociationsQuery();
        associations.setUuids(List.of(entry.getEntryUuid()));
        for (var one : hub.query(associations).getAssociations()) {
            request.getReferences().add(new ObjectReference(one.getEntryUuid()));
            request.getReferences().add(new ObjectReference(one.getSourceUuid()));
        }
        success(hub.delete(request));
    }

    private void images() throws Exception {
        Map<String, List<DocumentReference>> series = new LinkedHashMap<>();
        for (String triple : given.get("instances").split(" ")) {
            String[] parts = triple.split("/");
            series.computeIfAbsent(parts[0], uid -> new ArrayList<>())
                    .add(new DocumentReference(parts[2], parts[1], null));
        }
        var request = new RetrieveImagingDocumentSet();
        request.getRetrieveStudies().add(new RetrieveStudy(given.get("study"), series.entrySet().stream()
                .map(one -> new RetrieveSeries(one.getKey(), one.getValue())).toList()));
        request.getTransferSyntaxIds().add("1.2.840.10008.1.2.1");
        var answer = hub.images(request);
        success(answer);
        Set<String> asked = series.values().stream().flatMap(List::stream)
                .map(DocumentReference::getDocumentUniqueId).collect(Collectors.toSet());
        equal(asked, answer.getDocuments().stream()
                .map(one -> one.getRequestData().getDocumentUniqueId()).collect(Collectors.toSet()), "objects");
        for (var object : answer.getDocuments()) {
            byte[] head = object.getDataHandler().getInputStream().readNBytes(132);
            equal("DICM", new String(head, 128, 4, StandardCharsets.US_ASCII), "a file of DICOM Part 10");
            equal("application/dicom", object.getMimeType(), "mimeType");
        }
        series.values().iterator().next().add(new DocumentReference(given.get("repositoryUniqueId"), "1.2.3.4", null));
        var partial = hub.images(request);
        equal(Status.PARTIAL_SUCCESS, partial.getStatus(), "status with an unknown object");
        equal(asked.size(), partial.getDocuments().size(), "the known objects");
        check(!partial.getErrors().isEmpty(), "the unknown object has an error");
    }

    private void refusals() throws Exception {
        DocumentEntry entry = samples.entry();
        entry.setPatientId(new Identifiable("nobody", new AssigningAuthority(given.get("domain"))));
        SubmissionSet set = samples.set();
        set.setPatientId(entry.getPatientId());
        refused(provide(set, entry, REPORT), ErrorCode.UNKNOWN_PATIENT_ID);
        refused(hub.retrieve(wanted(entry.getUniqueId())), ErrorCode.DOCUMENT_UNIQUE_ID_ERROR);

        var elsewhere = new RetrieveDocumentSet();
        elsewhere.getDocuments().add(new DocumentReference("1.2.3.4.5", entry.getUniqueId(), null));
        refused(hub.retrieve(elsewhere), ErrorCode.UNKNOWN_REPOSITORY_ID);

        var query = new FindDocumentsQuery();
        query.setPatientId(patient);
        refused(hub.query(query, QueryReturnType.LEAF_CLASS, false), ErrorCode.STORED_QUERY_MISSING_PARAM);

        DocumentEntry held = samples.entry();
        success(provide(samples.set(), held, REPORT));
        DocumentEntry again = samples.entry();
        again.setUniqueId(held.getUniqueId());
        refused(provide(samples.set(), again, "<other/>".getBytes(StandardCharsets.UTF_8)), ErrorCode.NON_IDENTICAL_HASH);
    }

    private Response provide(SubmissionSet set, DocumentEntry entry, byte[] bytes) {
        return hub.provide(ProvideAndRegisterDocumentSet.supportiveBuilderWith(set)
                .withDocument(new Document(entry, Samples.content(bytes))).build());
    }

    private FindDocumentsQuery find() {
        var query = new FindDocumentsQuery();
        query.setPatientId(patient);
        query.setStatus(List.of(AvailabilityStatus.APPROVED));
        return query;
    }

    private RetrieveDocumentSet wanted(String uniqueId) {
        var request = new RetrieveDocumentSet();
        request.getDocuments().add(new DocumentReference(given.get("repositoryUniqueId"), uniqueId, null));
        return request;
    }

    /** The Approved entry with the uniqueId. */
    private DocumentEntry found(DocumentEntry entry) {
        var answer = hub.query(find());
        success(answer);
        return answer.getDocumentEntries().stream().filter(one -> one.getUniqueId().equals(entry.getUniqueId()))
                .findFirst().orElseThrow(() -> new AssertionError("not found by FindDocuments"));
    }

    private DocumentEntry byUuid(DocumentEntry entry) {
        var get = new GetDocumentsQuery();
        get.setUuids(List.of(entry.getEntryUuid()));
        var answer = hub.query(get);
        equal(1, answer.getDocumentEntries().size(), "GetDocuments");
        return answer.getDocumentEntries().get(0);
    }

    private static Set<String> uniqueIds(List<DocumentEntry> entries) {
        return entries.stream().map(DocumentEntry::getUniqueId).collect(Collectors.toSet());
    }

    // ---- asserting ----

    private static void success(Response response) {
        equal(Status.SUCCESS, response.getStatus(), "status (" + response.getErrors() + ")");
    }

    private static void refused(Response response, ErrorCode... codes) {
        equal(Status.FAILURE, response.getStatus(), "status");
        check(response.getErrors().stream().allMatch(one -> List.of(codes).contains(one.getErrorCode())),
                Arrays.toString(codes) + ", not " + response.getErrors());
    }

    private static void equal(Object expected, Object found, String what) {
        check(Objects.equals(expected, found), what + ": " + expected + ", not " + found);
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError("expected " + what);
        }
    }
}
