//! Operations, and the document as a whole.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Told};
use Product::{Connect, Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "an operation",
        product: Outbound,
        document: &[("paths:\n", "paths:\n  /api/v1/introspect:\n    get:\n      operationId: introspect\n      parameters:\n        - {name: id, in: query, schema: {type: string}}\n      responses:\n        '200': {description: ok, content: {application/json: {schema: {type: object, properties: {active: {type: boolean}}}}}}\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "operation `introspect` added [compatible]",
        ]),
    },
    Case {
        name: "an operation without an id",
        product: Outbound,
        document: &[("paths:\n", "paths:\n  /api/v1/introspect:\n    get:\n      responses:\n        '204': {description: ok}\n")],
        overlay: &[],
        expected: Refused(&["has no operationId", "GET /api/v1/introspect", "overlay action"]),
    },
    Case {
        name: "an operation is gone",
        product: Outbound,
        document: &[],
        overlay: &[("      /api/v1/revoke:\n        delete:\n", "      /api/v1/other:\n        delete:\n"), ("operationId: revoke", "operationId: other")],
        expected: Told(Step::Major, &[
            "operation `revoke` removed [breaking for callers]",
            "operation `other` added [compatible]",
        ]),
    },
    Case {
        name: "an operation has another id",
        product: Outbound,
        document: &[("operationId: token", "operationId: createToken")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "operation `createToken` was called `token` [breaking for callers]",
            "the success type was `TokenResponse`, is `CreateTokenResponse` [breaking for those who match on it]",
            "request body has the type `CreateTokenRequest` now, which was called `TokenRequest` [breaking for callers]",
        ]),
    },
    Case {
        name: "an operation has another path",
        product: Outbound,
        document: &[("  /api/v1/token:\n", "  /api/v2/token:\n")],
        overlay: &[("$.paths['/api/v1/token']", "$.paths['/api/v2/token']")],
        expected: Told(Step::Minor, &[
            "operation `token` was POST /api/v1/token [compatible]",
        ]),
    },
    Case {
        name: "an operation is deprecated",
        product: Outbound,
        document: &[("      operationId: token\n", "      operationId: token\n      deprecated: true\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "operation `token` is deprecated [compatible]",
        ]),
    },
    Case {
        name: "an operation gets more time",
        product: Connect,
        document: &[],
        overlay: &[("x-timeout-seconds: 240", "x-timeout-seconds: 300")],
        expected: Told(Step::Minor, &[
            "the time limit was 240 seconds, is 300 seconds [compatible]",
        ]),
    },
    Case {
        name: "an operation names its error codes",
        product: Connect,
        document: &[],
        overlay: &[("x-timeout-seconds: 240", "x-timeout-seconds: 240\n          x-error-codes: [FlinksCode]")],
        expected: Told(Step::Minor, &[
            "the list of error codes was nothing, is FlinksCode [compatible]",
        ]),
    },
    Case {
        name: "another server",
        product: Outbound,
        document: &[("  - url: https://{host}\n", "  - url: https://{host}.flinks.com\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "the list of servers was https://{host}, is https://{host}.flinks.com [documented only]",
        ]),
    },
    Case {
        name: "a server with a path",
        product: Outbound,
        document: &[("  - url: https://{host}\n", "  - url: https://{host}/outbound\n")],
        overlay: &[],
        expected: Refused(&["the server has a path", "/servers/0/url", "overlay actions"]),
    },
    Case {
        name: "another version",
        product: Outbound,
        document: &[("  version: 3.0.0\n", "  version: 3.1.0\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "the version of the document was 3.0.0, is 3.1.0 [documented only]",
        ]),
    },
    Case {
        name: "OpenAPI 3.1",
        product: Outbound,
        document: &[("openapi: 3.0.3", "openapi: 3.1.0")],
        overlay: &[],
        expected: Refused(&["its version is 3.1.0", "/openapi", "convert it to 3.0.3"]),
    },
    Case {
        name: "nothing but prose",
        product: Outbound,
        document: &[("The scope of data", "The extent of data")],
        overlay: &[],
        expected: Told(Step::Patch, &[]),
    },
    Case {
        name: "nothing but the layout",
        product: Outbound,
        document: &[("security: []\n", "security:   []\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[]),
    },
    Case {
        name: "a security requirement, of no scheme",
        product: Connect,
        document: &[("      security: []\n", "      security: [{key: []}]\n")],
        overlay: &[],
        expected: Refused(&["security", "/security", "overlay"]),
    },
    Case {
        name: "the document says what an overlay said",
        product: Pay,
        document: &[("                Password:\n                  type: string\n", "                Password:\n                  type: string\n                  format: password\n")],
        overlay: &[],
        expected: Refused(&["changes nothing", "its reason was: A secret (A3).", "remove the action"]),
    },
    Case {
        name: "the document says what an overlay said, followed",
        product: Pay,
        document: &[("                Password:\n                  type: string\n", "                Password:\n                  type: string\n                  format: password\n")],
        overlay: &[("  - target: >-\n      $.paths['/api/v1/authorize'].post.requestBody.content['application/x-www-form-urlencoded'].schema.properties.Password\n    description: A secret (A3).\n    update:\n      format: password\n\n", "")],
        expected: Told(Step::Patch, &[
            "request field `Password` was text, is secret [documented only]",
        ]),
    },
];
