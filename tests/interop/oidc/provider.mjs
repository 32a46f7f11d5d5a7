// A real OpenID provider (oidc-provider) with Pro Santé Connect's claims, for the tests. Its people do not exist.
// Input: one line of JSON {people}. Output: one line of JSON {issuer}. Under /test it is steered.
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider, errors } from "oidc-provider";

const line = await new Promise(resolve => createInterface({ input: process.stdin }).once("line", resolve));
const { people } = JSON.parse(line);
const kept = new Map();
const waiting = new Map(); // number -> what its phone shows

class Kept {
  constructor(name) { this.name = name; }
  key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload, expiresIn) { kept.set(this.key(id), { payload, end: expiresIn ? Date.now() + expiresIn * 1000 : Infinity }); }
  async find(id) {
    const found = kept.get(this.key(id));
    return found && found.end > Date.now() ? found.payload : undefined;
  }
  async findByUid(uid) {
    return [...kept].find(([key, { payload }]) => key.startsWith(`${this.name}:`) && payload.uid === uid)?.[1].payload;
  }
  async consume(id) { kept.get(this.key(id)).payload.consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { kept.delete(this.key(id)); }
  async revokeByGrantId(grantId) {
    for (const [key, { payload }] of kept) { if (payload.grantId === grantId) { kept.delete(key); } }
  }
}

const CLAIMS = ["preferred_username", "SubjectNameID", "given_name", "family_name", "SubjectRole", "SubjectOrganization",
  "SubjectOrganizationID", "Secteur_Activite", "SubjectRefPro", "otherIds"];
const account = id => people[id] && { accountId: id, claims: async () => ({ ...people[id], sub: id }) };
const byNumber = number => Object.keys(people).find(id => people[id].SubjectNameID === number);

async function granted(provider, clientId, accountId) {
  const grant = new provider.Grant({ clientId, accountId });
  grant.addOIDCScope("openid scope_all offline_access");
  return grant.save();
}

const server = createServer();
await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  adapter: Kept,
  acrValues: ["eidas1", "eidas2"],
  scopes: ["openid", "scope_all", "offline_access"],
  claims: { acr: null, openid: ["sub"], scope_all: CLAIMS, sid: null, auth_time: null, iss: null },
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // the hub is on this machine
  cookies: { keys: ["for tests only"] },
  pkce: { required: () => true },
  ttl: { AccessToken: 120, RefreshToken: 1800, BackchannelAuthenticationRequest: 120, IdToken: 120,
    Session: 14400, Grant: 14400, Interaction: 600 },
  findAccount: async (ctx, id) => account(id),
  issueRefreshToken: async () => true,
  rotateRefreshToken: true,
  loadExistingGrant: async ctx => {
    const id = await granted(ctx.oidc.provider, ctx.oidc.client.clientId, ctx.oidc.session.accountId);
    return ctx.oidc.provider.Grant.find(id);
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    jwtUserinfo: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: {
      logoutSource: async (ctx, form) => {
        ctx.body = `<!doctype html><title>Provider</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes</button>`;
      },
    },
    ciba: {
      enabled: true,
      deliveryModes: ["poll"],
      processLoginHint: async (ctx, hint) => byNumber(hint),
      validateBindingMessage: async () => undefined,
      validateRequestContext: async () => undefined,
      verifyUserCode: async () => undefined,
      triggerAuthenticationDevice: async (ctx, request, acc) => {
        waiting.set(people[acc.accountId].SubjectNameID, { request: request.jti, message: request.params.binding_message,
          client: request.clientId, account: acc.accountId });
      },
    },
  },
});
provider.on("server_error", (ctx, error) => console.error(error));
provider.on("backchannel.error", (ctx, error) => console.error(error));

const body = async request => {
  let text = "";
  for await (const piece of request) { text += piece; }
  return text;
};
const say = (response, value) => {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
};

const steered = {
  "/test/client": async given => { await new Kept("Client").upsert(given.client_id, given); return {}; },
  "/test/phones": async () => Object.fromEntries([...waiting].map(([number, { message }]) => [number, message])),
  "/test/answer": async ({ number, accept }) => {
    const { request, client, account: accountId } = waiting.get(number);
    waiting.delete(number);
    const result = accept ? await granted(provider, client, accountId) : new errors.AccessDenied("no");
    await provider.backchannelResult(request, result, { acr: "eidas1", amr: ["pop"] });
    return {};
  },
  "/test/revoke": async () => { // every grant is gone: nothing is renewed any more
    for (const key of [...kept.keys()]) { if (/^(Grant|RefreshToken|AccessToken):/.test(key)) { kept.delete(key); } }
    return {};
  },
};

server.on("request", async (request, response) => {
  try {
    const { pathname } = new URL(request.url, issuer);
    if (steered[pathname]) {
      const text = await body(request);
      return say(response, await steered[pathname](text ? JSON.parse(text) : {}));
    }
    if (pathname.startsWith("/interaction/")) {
      const details = await provider.interactionDetails(request, response);
      if (request.method === "POST") {
        const form = new URLSearchParams(await body(request));
        if (form.get("login") === "") {
          return await provider.interactionFinished(request, response, { error: "access_denied" });
        }
        return await provider.interactionFinished(request, response,
          { login: { accountId: form.get("login"), acr: form.get("acr") || "eidas1", amr: ["pop"] } });
      }
      const buttons = Object.keys(people).map(id => `<button name="login" value="${id}">${id}</button>`);
      response.setHeader("content-type", "text/html; charset=utf-8");
      return response.end(`<!doctype html><title>Provider</title><p>${details.params.acr_values}</p>
        <form method="post">${buttons.join(" ")} <button name="login" value="">Refuse</button></form>`);
    }
    return provider.callback()(request, response);
  } catch (error) {
    console.error(error);
    response.statusCode = 500;
    return response.end();
  }
});
say({ setHeader() {}, end: text => console.log(text) }, { issuer });
