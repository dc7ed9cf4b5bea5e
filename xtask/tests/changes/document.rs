//! Changes to operations and to the document as a whole.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Reported, Stale};
use Product::{Connect, Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "an operation is added",
        product: Outbound,
        document: &[("paths:\n", "paths:\n  /api/v1/introspect:\n    get:\n      operationId: introspect\n      parameters:\n        - {name: id, in: query, schema: {type: string}}\n      responses:\n        '200': {description: ok, content: {application/json: {schema: {type: object, properties: {active: {type: boolean}}}}}}\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "operation `introspect` added [compatible]",
        ]),
    },
    Case {
        name: "an operation without an id is added",
        product: Outbound,
        document: &[("paths:\n", "paths:\n  /api/v1/introspect:\n    get:\n      responses:\n        '204': {description: ok}\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "operation `get_api_v1_introspect` added [compatible]",
        ]),
    },
    Case {
        name: "an operation is removed",
        product: Outbound,
        document: &[],
        overlay: &[("      /api/v1/revoke:\n        delete:\n", "      /api/v1/other:\n        delete:\n"), ("operationId: revoke", "operationId: other")],
        expected: Reported(Step::Major, &[
            "operation `revoke` removed [breaking for callers]",
            "operation `other` added [compatible]",
        ]),
    },
    Case {
        name: "the id of an operation changes",
        product: Outbound,
        document: &[("operationId: token", "operationId: createToken")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "operation `createToken` was previously named `token` [breaking for callers]",
            "the success type changed from `TokenResponse` to `CreateTokenResponse` [breaking for code that reads it]",
            "request body now has the type `CreateTokenRequest`, previously `TokenRequest` [breaking for callers]",
        ]),
    },
    Case {
        name: "the path of an operation changes",
        product: Outbound,
        document: &[("  /api/v1/token:\n", "  /api/v2/token:\n")],
        overlay: &[("$.paths['/api/v1/token']", "$.paths['/api/v2/token']")],
        expected: Reported(Step::Minor, &[
            "operation `token` moved from POST /api/v1/token [compatible]",
        ]),
    },
    Case {
        name: "an operation is deprecated",
        product: Outbound,
        document: &[("      operationId: token\n", "      operationId: token\n      deprecated: true\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "operation `token` is now deprecated [compatible]",
        ]),
    },
    Case {
        name: "the time limit of an operation increases",
        product: Connect,
        document: &[],
        overlay: &[("x-timeout-seconds: 240", "x-timeout-seconds: 300")],
        expected: Reported(Step::Minor, &[
            "the time limit changed from 240 seconds to 300 seconds [compatible]",
        ]),
    },
    Case {
        name: "an operation lists its error codes",
        product: Connect,
        document: &[],
        overlay: &[("x-timeout-seconds: 240", "x-timeout-seconds: 240\n          x-error-codes: [FlinksCode]")],
        expected: Reported(Step::Minor, &[
            "the list of error codes changed from none to FlinksCode [compatible]",
        ]),
    },
    Case {
        name: "the server changes",
        product: Outbound,
        document: &[("  - url: https://{host}\n", "  - url: https://{host}.flinks.com\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "the list of servers changed from https://{host} to https://{host}.flinks.com [documentation only]",
        ]),
    },
    Case {
        name: "the server URL has a path",
        product: Outbound,
        document: &[("  - url: https://{host}\n", "  - url: https://{host}/outbound\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "the list of servers changed from https://{host} to https://{host}/outbound [documentation only]",
        ]),
    },
    Case {
        name: "the version of the document changes",
        product: Outbound,
        document: &[("  version: 3.0.0\n", "  version: 3.1.0\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "the version of the document changed from 3.0.0 to 3.1.0 [documentation only]",
        ]),
    },
    Case {
        name: "the document is OpenAPI 3.1",
        product: Outbound,
        document: &[("openapi: 3.0.3", "openapi: 3.1.0")],
        overlay: &[],
        expected: Refused(&["the version is 3.1.0", "/openapi", "convert the document to OpenAPI 3.0.3"]),
    },
    Case {
        name: "only a description changes",
        product: Outbound,
        document: &[("The scope of data", "The extent of data")],
        overlay: &[],
        expected: Reported(Step::Patch, &[]),
    },
    Case {
        name: "only the layout changes",
        product: Outbound,
        document: &[("security: []\n", "security:   []\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[]),
    },
    Case {
        name: "a security requirement without a scheme is added",
        product: Connect,
        document: &[("      security: []\n", "      security: [{key: []}]\n")],
        overlay: &[],
        expected: Refused(&["security", "/security", "overlay"]),
    },
    Case {
        name: "the document adopts a correction of the overlay",
        product: Pay,
        document: &[("                Password:\n                  type: string\n", "                Password:\n                  type: string\n                  format: password\n")],
        overlay: &[],
        expected: Stale(Step::Patch, &[
            "request field `Password` changed from text to secret [documentation only]",
        ], &[
            "changes nothing; its description is: A secret (A3).\n  at: /actions/2\n  help: the document already contains the correction: remove the action",
        ]),
    },
    Case {
        name: "the document adopts a correction and the overlay drops it",
        product: Pay,
        document: &[("                Password:\n                  type: string\n", "                Password:\n                  type: string\n                  format: password\n")],
        overlay: &[("  - target: >-\n      $.paths['/api/v1/authorize'].post.requestBody.content['application/x-www-form-urlencoded'].schema.properties.Password\n    description: A secret (A3).\n    update:\n      format: password\n\n", "")],
        expected: Reported(Step::Patch, &[
            "request field `Password` changed from text to secret [documentation only]",
        ]),
    },
];
