import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.cxf.endpoint.Client;
import org.apache.cxf.frontend.ClientProxy;
import org.openehealth.ipf.commons.core.modules.api.Validator;
import org.openehealth.ipf.commons.ihe.ws.JaxWsRequestClientFactory;
import org.openehealth.ipf.commons.ihe.ws.WsTransactionConfiguration;
import org.openehealth.ipf.commons.ihe.xds.RAD;
import org.openehealth.ipf.commons.ihe.xds.XDS;
import org.openehealth.ipf.commons.ihe.xds.core.audit.XdsAuditDataset;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.EbXMLFactory;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.EbXMLFactory30;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.EbXMLQueryResponse30;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.EbXMLRegistryResponse30;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.EbXMLRetrieveDocumentSetResponse30;
import org.openehealth.ipf.commons.ihe.xds.core.ebxml.ebxml30.RetrieveDocumentSetResponseType;
import org.openehealth.ipf.commons.ihe.xds.core.requests.ProvideAndRegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.QueryRegistry;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RegisterDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveDocuments;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RemoveMetadata;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.RetrieveImagingDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.Query;
import org.openehealth.ipf.commons.ihe.xds.core.requests.query.QueryReturnType;
import org.openehealth.ipf.commons.ihe.xds.core.responses.QueryResponse;
import org.openehealth.ipf.commons.ihe.xds.core.responses.Response;
import org.openehealth.ipf.commons.ihe.xds.core.responses.RetrievedDocumentSet;
import org.openehealth.ipf.commons.ihe.xds.core.stub.ebrs30.rs.RegistryResponseType;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.ProvideAndRegisterDocumentSetTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.QueryRegistryTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.RegisterDocumentSetTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.RemoveDocumentsRequestTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.RemoveMetadataRequestTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.RetrieveDocumentSetRequestTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.requests.RetrieveImagingDocumentSetRequestTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.responses.QueryResponseTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.responses.ResponseTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.transform.responses.RetrieveDocumentSetResponseTransformer;
import org.openehealth.ipf.commons.ihe.xds.core.validate.ValidationProfile;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.AdhocQueryRequestValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.NonconstructiveDocumentSetRequestValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.ProvideAndRegisterDocumentSetRequestValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.RemoveMetadataRequestValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.RetrieveImagingDocumentSetRequestValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.requests.SubmitObjectsRequestValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.responses.QueryResponseValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.responses.RegistryResponseValidator;
import org.openehealth.ipf.commons.ihe.xds.core.validate.responses.RetrieveDocumentSetResponseValidator;
import org.openehealth.ipf.commons.ihe.xds.iti18.Iti18PortType;
import org.openehealth.ipf.commons.ihe.xds.iti41.Iti41PortType;
import org.openehealth.ipf.commons.ihe.xds.iti42.Iti42PortType;
import org.openehealth.ipf.commons.ihe.xds.iti43.Iti43PortType;
import org.openehealth.ipf.commons.ihe.xds.iti57.Iti57PortType;
import org.openehealth.ipf.commons.ihe.xds.iti62.Iti62PortType;
import org.openehealth.ipf.commons.ihe.xds.iti86.Iti86PortType;
import org.openehealth.ipf.commons.ihe.xds.rad69.Rad69PortType;

/** A hub as IPF's clients meet it: every request and every response passes IPF's validator of the transaction. */
final class Hub {
    private static final EbXMLFactory FACTORY = new EbXMLFactory30();
    private final String registry;
    private final String repository;
    private final String imaging;
    private final Consumer<Client> prepared;

    Hub(Map<String, String> given) {
        this(given, client -> { });
    }

    /** {@code prepared}: what is done to each client before it is used. */
    Hub(Map<String, String> given, Consumer<Client> prepared) {
        this.prepared = prepared;
        registry = given.get("registry");
        repository = given.get("repository");
        imaging = given.get("imaging");
    }

    /** ITI-41. */
    Response provide(ProvideAndRegisterDocumentSet request) {
        var profile = XDS.Interactions.ITI_41;
        var ebxml = new ProvideAndRegisterDocumentSetTransformer(FACTORY).toEbXML(request);
        ProvideAndRegisterDocumentSetRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Iti41PortType.class, profile.getWsTransactionConfiguration(), repository);
        return response(port.documentRepositoryProvideAndRegisterDocumentSetB(ebxml.getInternal()), profile);
    }

    /** ITI-42. */
    Response register(RegisterDocumentSet request) {
        var profile = XDS.Interactions.ITI_42;
        var ebxml = new RegisterDocumentSetTransformer(FACTORY).toEbXML(request);
        SubmitObjectsRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Iti42PortType.class, profile.getWsTransactionConfiguration(), registry);
        return response(port.documentRegistryRegisterDocumentSetB(ebxml.getInternal()), profile);
    }

    /** ITI-57. */
    Response update(RegisterDocumentSet request) {
        var profile = XDS.Interactions.ITI_57;
        var ebxml = new RegisterDocumentSetTransformer(FACTORY).toEbXML(request);
        SubmitObjectsRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Iti57PortType.class, profile.getWsTransactionConfiguration(), registry);
        return response(port.documentRegistryUpdateDocumentSet(ebxml.getInternal()), profile);
    }

    /** ITI-62. */
    Response delete(RemoveMetadata request) {
        var profile = XDS.Interactions.ITI_62;
        var ebxml = new RemoveMetadataRequestTransformer().toEbXML(request);
        RemoveMetadataRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Iti62PortType.class, profile.getWsTransactionConfiguration(), registry);
        return response(port.documentRegistryDeleteDocumentSet(ebxml.getInternal()), profile);
    }

    /** ITI-86. */
    Response remove(RemoveDocuments request) {
        var profile = XDS.Interactions.ITI_86;
        var ebxml = new RemoveDocumentsRequestTransformer(FACTORY).toEbXML(request);
        NonconstructiveDocumentSetRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Iti86PortType.class, profile.getWsTransactionConfiguration(), repository);
        return response(port.documentRepositoryRemoveDocuments(ebxml.getInternal()), profile);
    }

    /** ITI-18 with full metadata. */
    QueryResponse query(Query query) {
        return query(query, QueryReturnType.LEAF_CLASS);
    }

    /** ITI-18. */
    QueryResponse query(Query query, QueryReturnType returns) {
        return query(query, returns, true);
    }

    /** ITI-18; not {@code checked}: the request goes out although IPF's validator would hold it back. */
    QueryResponse query(Query query, QueryReturnType returns, boolean checked) {
        var profile = XDS.Interactions.ITI_18;
        var ebxml = new QueryRegistryTransformer().toEbXML(new QueryRegistry(query, returns));
        if (checked) {
            AdhocQueryRequestValidator.getInstance().validate(ebxml, profile);
        }
        var port = port(Iti18PortType.class, profile.getWsTransactionConfiguration(), registry);
        var answer = new EbXMLQueryResponse30(port.documentRegistryRegistryStoredQuery(ebxml.getInternal()));
        valid(QueryResponseValidator.getInstance(), answer, profile);
        return new QueryResponseTransformer(FACTORY).fromEbXML(answer);
    }

    /** ITI-43. */
    RetrievedDocumentSet retrieve(RetrieveDocumentSet request) {
        var profile = XDS.Interactions.ITI_43;
        var ebxml = new RetrieveDocumentSetRequestTransformer(FACTORY).toEbXML(request);
        NonconstructiveDocumentSetRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Iti43PortType.class, profile.getWsTransactionConfiguration(), repository);
        return documents(port.documentRepositoryRetrieveDocumentSet(ebxml.getInternal()), profile);
    }

    /** RAD-69. */
    RetrievedDocumentSet images(RetrieveImagingDocumentSet request) {
        var profile = RAD.Interactions.RAD_69;
        var ebxml = new RetrieveImagingDocumentSetRequestTransformer(FACTORY).toEbXML(request);
        RetrieveImagingDocumentSetRequestValidator.getInstance().validate(ebxml, profile);
        var port = port(Rad69PortType.class, profile.getWsTransactionConfiguration(), imaging);
        return documents(port.documentRepositoryRetrieveImagingDocumentSet(ebxml.getInternal()), profile);
    }

    private static Response response(RegistryResponseType raw, ValidationProfile profile) {
        var answer = new EbXMLRegistryResponse30(raw);
        RegistryResponseValidator.getInstance().validate(answer, profile);
        return new ResponseTransformer(FACTORY).fromEbXML(answer);
    }

    private static RetrievedDocumentSet documents(RetrieveDocumentSetResponseType raw, ValidationProfile profile) {
        var answer = new EbXMLRetrieveDocumentSetResponse30(raw);
        valid(RetrieveDocumentSetResponseValidator.getInstance(), answer, profile);
        return new RetrieveDocumentSetResponseTransformer(FACTORY).fromEbXML(answer);
    }

    private static <T> void valid(Validator<? super T, ValidationProfile> validator, T answer, ValidationProfile profile) {
        validator.validate(answer, profile);
    }

    /** IPF's client of a transaction: CXF with the public WSDL, WS-Addressing and, where the transaction has it, MTOM. */
    private <P> P port(
            Class<P> type, WsTransactionConfiguration<? extends XdsAuditDataset> configuration, String url) {
        var factory = new JaxWsRequestClientFactory<>(
                configuration, url, null, null, null, List.of(), Map.of(), null, null, null);
        P port = type.cast(factory.getClient());
        prepared.accept(ClientProxy.getClient(port));
        return port;
    }
}
