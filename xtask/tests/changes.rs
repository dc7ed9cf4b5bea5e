//! A catalogue of what Flinks may change: each a small patch on one of our documents, with what the diff must say of it, the
//! step that follows, and code that compiles.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)] // helpers of tests are tests too

mod support;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use xtask::Product;
use xtask::generate::public_api::Difference;
use xtask::generate::{SecretNames, inspect};
use xtask::maintain::diff::{ProductDiff, Step, diff};

use Expected::{Refused, Told};
use Product::{Connect, Outbound, Pay};

/// The documents as they were when this was written: a text that is replaced must be there. The real ones go on.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen");

/// A text of the document and what stands there afterwards.
type Edit = (&'static str, &'static str);

struct Case {
    name: &'static str,
    product: Product,
    document: &'static [Edit],
    overlay: &'static [Edit],
    expected: Expected,
}

enum Expected {
    /// The lines of the diff, each with its meaning, and the step.
    Told(Step, &'static [&'static str]),
    /// No code comes of it; the message has these parts.
    Refused(&'static [&'static str]),
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case {
        name: "a request field, optional",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                nonce:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "request field `nonce` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a request field, required",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                nonce:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app"), ("              required:\n                - grant_type\n", "              required:\n                - grant_type\n                - nonce\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `nonce` added: text, required [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field is gone",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app management, only if you are using\n                    `client_credentials` as the `grant_type`.\n", "")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `scope` removed [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes required",
        product: Outbound,
        document: &[("              required:\n                - grant_type\n", "              required:\n                - grant_type\n                - redirect_uri\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `redirect_uri` is required now [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes optional",
        product: Outbound,
        document: &[("              required:\n                - grant_type\n", "")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `grant_type` is optional now [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes a boolean",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: boolean\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `scope` was text, is boolean [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes a list",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: array\n                  items: {type: string}\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `scope` was text, is list of text [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field gets a default",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: string\n                  default: accounts\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `scope` has another `default`: was nothing, is accounts [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field gets a longest length",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: string\n                  maxLength: 9\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "request field `scope` has another `maxLength`: was nothing, is 9 [documented only]",
        ]),
    },
    Case {
        name: "a request field gets a list of values",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: string\n                  enum: [accounts, payments]\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `scope` is one of `accounts`, `payments` now [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field is one of two",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  oneOf: [{type: string}, {type: array, items: {type: string}}]\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request field `scope` was text, is one of several [breaking for callers]",
        ]),
    },
    Case {
        name: "a field that looks like a secret",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                client_assertion_token:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Refused(&["`client_assertion_token` looks like a secret", "operation: token (POST /api/v1/token)", "- target: $['paths']['/api/v1/token']['post']['requestBody']"]),
    },
    Case {
        name: "a field that looks like a secret, marked",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                client_assertion_token:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app")],
        overlay: &[("actions:\n", "actions:\n  - target: $.paths['/api/v1/token'].post.requestBody.content['application/json'].schema.properties.client_assertion_token\n    description: A secret (A3).\n    update:\n      format: password\n\n")],
        expected: Told(Step::Minor, &[
            "request field `client_assertion_token` added: secret, optional [compatible]",
        ]),
    },
    Case {
        name: "the mark of a secret is taken away",
        product: Outbound,
        document: &[],
        overlay: &[("      format: password\n\n  - target: $.paths['/api/v1/token'].post.requestBody.content['application/json'].schema.properties.refresh_token", "      x-not-secret: For this test.\n\n  - target: $.paths['/api/v1/token'].post.requestBody.content['application/json'].schema.properties.refresh_token")],
        expected: Told(Step::Major, &[
            "request field `code` was secret, is text [breaking for callers]",
        ]),
    },
    Case {
        name: "a list of values of a request is longer",
        product: Outbound,
        document: &[],
        overlay: &[("enum: [client_credentials, authorization_code, refresh_token]", "enum: [client_credentials, authorization_code, refresh_token, device]")],
        expected: Told(Step::Minor, &[
            "request field `grant_type` may be `device` too [compatible]",
        ]),
    },
    Case {
        name: "a list of values of a request is shorter",
        product: Outbound,
        document: &[],
        overlay: &[("enum: [client_credentials, authorization_code, refresh_token]", "enum: [client_credentials, refresh_token]")],
        expected: Told(Step::Major, &[
            "request field `grant_type` may no longer be `authorization_code` [breaking for callers]",
        ]),
    },
    Case {
        name: "a reply field, optional",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  consent_id:\n                    type: string\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "reply 200 field `consent_id` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a reply field, required",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  consent_id:\n                    type: string\n                required: [consent_id]\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "reply 200 field `consent_id` added: text, required: a reply without it is refused [compatible]",
        ]),
    },
    Case {
        name: "a reply field is gone",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "reply 200 field `scope` removed [breaking for those who match on it]",
        ]),
    },
    Case {
        name: "a reply field becomes required",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                required: [scope]\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "reply 200 field `scope` is required now [breaking for those who match on it]",
        ]),
    },
    Case {
        name: "a reply field becomes a list",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: array\n                    items: {type: string}\n                    description: The scope of data associated with the token.\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "reply 200 field `scope` was text, is list of text [breaking for those who match on it]",
        ]),
    },
    Case {
        name: "a reply field may be null",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    nullable: true\n                    description: The scope of data associated with the token.\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "reply 200 field `scope` may be null now [documented only]",
        ]),
    },
    Case {
        name: "a reply field, an object",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  consent:\n                    type: object\n                    required: [id]\n                    properties:\n                      id: {type: string}\n                      until: {type: string, format: date-time}\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "reply 200 field `consent` added: object, optional [compatible]",
        ]),
    },
    Case {
        name: "a reply field, a map",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  limits:\n                    type: object\n                    additionalProperties: {type: integer}\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "reply 200 field `limits` added: map of integer, optional [compatible]",
        ]),
    },
    Case {
        name: "a list of values in a reply",
        product: Outbound,
        document: &[("                    description: The type of token. Value is `Bearer`.\n", "                    description: The type of token. Value is `Bearer`.\n                    enum: [Bearer]\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "reply 200 field `token_type` is one of `Bearer` now [documented only]",
        ]),
    },
    Case {
        name: "an error field, in each status",
        product: Outbound,
        document: &[("                  error_description:\n                    type: string\n                    description: A description of the error.\n", "                  error_description:\n                    type: string\n                    description: A description of the error.\n                  error_uri:\n                    type: string\n")],
        overlay: &[],
        expected: Refused(&["two different schemas would both be named `ErrorResponse`", "operation: revoke", "`title`"]),
    },
    Case {
        name: "an error field, in each status, followed",
        product: Outbound,
        document: &[("                  error_description:\n                    type: string\n                    description: A description of the error.\n", "                  error_description:\n                    type: string\n                    description: A description of the error.\n                  error_uri:\n                    type: string\n")],
        overlay: &[("                        description: A description of the error.\n", "                        description: A description of the error.\n                      error_uri: {type: string}\n")],
        expected: Told(Step::Minor, &[
            "error 4XX, 5XX field `error_uri` added: text, optional [compatible]",
            "error 4XX, 5XX field `error_uri` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "an error field, in one status",
        product: Outbound,
        document: &[("        5XX:\n          description: Returned when an unhandled", "        '429':\n          description: x\n          content:\n            application/json:\n              schema:\n                type: object\n                properties:\n                  error:\n                    type: string\n                  retry_in:\n                    type: integer\n                  error_description:\n                    type: string\n        5XX:\n          description: Returned when an unhandled")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "the error type was `ErrorResponse`, is `TokenError`, by status [breaking for those who match on it]",
            "error 429 added: object [compatible]",
        ]),
    },
    Case {
        name: "an error status with the known body",
        product: Outbound,
        document: &[("        5XX:\n          description: Returned when an unhandled", "        '429':\n          description: x\n          content:\n            application/json:\n              schema:\n                type: object\n                properties:\n                  error:\n                    type: string\n                  error_description:\n                    type: string\n        5XX:\n          description: Returned when an unhandled")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "error 429 added: object [compatible]",
        ]),
    },
    Case {
        name: "an error status without a body",
        product: Outbound,
        document: &[("        5XX:\n          description: Returned when an unhandled", "        '429':\n          description: x\n        5XX:\n          description: Returned when an unhandled")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "error 429 added: no body [documented only]",
        ]),
    },
    Case {
        name: "an error status with a title of another body",
        product: Outbound,
        document: &[("                  error_description:\n                    type: string\n                    description: A description of the error.\n              example:\n                error: server_error", "                  error_description:\n                    type: string\n                    description: A description of the error.\n                  hint: {type: string}\n              example:\n                error: server_error")],
        overlay: &[],
        expected: Refused(&["two different schemas would both be named `ErrorResponse`", "/responses/5XX/", "`title`"]),
    },
    Case {
        name: "a class of errors becomes single statuses",
        product: Outbound,
        document: &[("        4XX:\n", "        '400':\n")],
        overlay: &[],
        expected: Refused(&["matches nothing", "responses['4XX']", "it leads as far as `$.paths['/api/v1/token'].post.responses`, where there is now: 200, 400, 5XX"]),
    },
    Case {
        name: "a class of errors becomes single statuses, followed",
        product: Outbound,
        document: &[("        4XX:\n", "        '400':\n")],
        overlay: &[("responses['4XX']", "responses['400']")],
        expected: Told(Step::Minor, &[
            "error 400 added: object [compatible]",
            "error 4XX removed [compatible]",
        ]),
    },
    Case {
        name: "a success without a body",
        product: Outbound,
        document: &[("        4XX:\n", "        '202':\n          description: Not yet.\n        4XX:\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "the success type was `TokenResponse`, is `TokenResponse`, by status [breaking for those who match on it]",
            "reply 202 added: no body [compatible]",
        ]),
    },
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
        name: "a header, optional",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: X-Request-Id\n          in: header\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "header `X-Request-Id` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a header, required",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: X-Region\n          in: header\n          required: true\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "header `X-Region` added: text, required [breaking for callers]",
        ]),
    },
    Case {
        name: "a query parameter, a list of values",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: region\n          in: query\n          schema: {type: string, enum: [ca, us]}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "query parameter `region` added: text (`ca`, `us`), optional [compatible]",
        ]),
    },
    Case {
        name: "a list in a query",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: regions\n          in: query\n          schema: {type: array, items: {type: string}}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Refused(&["`regions` is not a plain scalar", "/parameters/2", "overlay action"]),
    },
    Case {
        name: "a cookie",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: sid\n          in: cookie\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Refused(&["`sid` is a cookie", "overlay action"]),
    },
    Case {
        name: "a header that is no argument",
        product: Connect,
        document: &[("        - name: Accept\n          in: header\n          required: true\n          description: Acceptable response media type.\n          schema:\n            type: string\n            default: application/json\n", "")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "header `Accept` removed [documented only]",
        ]),
    },
    Case {
        name: "a path parameter has another name",
        product: Connect,
        document: &[("/v3/{customerId}/", "/v3/{tenantId}/"), ("- name: customerId\n", "- name: tenantId\n")],
        overlay: &[("/v3/{customerId}/BankingServices/GenerateAuthorizeToken", "/v3/{tenantId}/BankingServices/GenerateAuthorizeToken"), ("parameters[?@.name == 'customerId']", "parameters[?@.name == 'tenantId']")],
        expected: Told(Step::Minor, &[
            "path parameter `tenantId` was called `customerId` [compatible]",
        ]),
    },
    Case {
        name: "one more path parameter",
        product: Connect,
        document: &[("/v3/{customerId}/BankingServices/Gen", "/v3/{customerId}/{region}/Gen"), ("        - name: Content-Type\n", "        - name: region\n          in: path\n          required: true\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[("/v3/{customerId}/BankingServices/GenerateAuthorizeToken", "/v3/{customerId}/{region}/GenerateAuthorizeToken")],
        expected: Told(Step::Major, &[
            "operation `generateAuthorizeToken` was POST /v3/{customerId}/BankingServices/GenerateAuthorizeToken [compatible]",
            "path parameter `region` added: text, required [breaking for callers]",
        ]),
    },
    Case {
        name: "the key is another header",
        product: Connect,
        document: &[("- name: flinks-auth-key\n", "- name: flinks-key\n")],
        overlay: &[],
        expected: Refused(&["matches nothing", "flinks-auth-key", "where there is now: customerId, flinks-key"]),
    },
    Case {
        name: "the document no longer shows the sandbox's id",
        product: Connect,
        document: &[("            default: 43387ca6-0391-4c82-857d-70d95f087ecb\n", "")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "path parameter `customerId` has another `default`: was 43387ca6-0391-4c82-857d-70d95f087ecb, is nothing [documented only]",
        ]),
    },
    Case {
        name: "a security requirement, of no scheme",
        product: Connect,
        document: &[("      security: []\n", "      security: [{key: []}]\n")],
        overlay: &[],
        expected: Refused(&["security", "/security", "overlay"]),
    },
    Case {
        name: "an error status of Connect",
        product: Connect,
        document: &[("      security: []\n", "        '429':\n          description: Too many.\n      security: []\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "error 429 added: no body [documented only]",
        ]),
    },
    Case {
        name: "a header of a reply",
        product: Connect,
        document: &[("        '200':\n          description: Success\n", "        '200':\n          description: Success\n          headers: {X-Left: {schema: {type: integer}}}\n")],
        overlay: &[],
        expected: Refused(&["no reply gives access to this header", "X-Left", "overlay action"]),
    },
    Case {
        name: "the form becomes JSON",
        product: Pay,
        document: &[("application/x-www-form-urlencoded:", "application/json:")],
        overlay: &[("requestBody.content['application/x-www-form-urlencoded']", "requestBody.content['application/json']")],
        expected: Told(Step::Minor, &[
            "the media type was application/x-www-form-urlencoded, is application/json [compatible]",
        ]),
    },
    Case {
        name: "the form becomes multipart",
        product: Pay,
        document: &[("application/x-www-form-urlencoded:", "multipart/form-data:")],
        overlay: &[],
        expected: Refused(&["matches nothing", "where there is now: multipart/form-data"]),
    },
    Case {
        name: "the order of what is required",
        product: Pay,
        document: &[("                Username:\n                  type: string\n                  description: The username provided during onboarding.\n                Password:\n                  type: string\n                  description: The password provided during onboarding.\n", "                Password:\n                  type: string\n                  description: The password provided during onboarding.\n                Username:\n                  type: string\n                  description: The username provided during onboarding.\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "request body asks for its fields in another order: `grant_type`, `Password`, `Username` [breaking for callers]",
        ]),
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
    Case {
        name: "the type of a number",
        product: Pay,
        document: &[("                  expires_in:\n                    type: integer\n", "                  expires_in:\n                    type: number\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "reply 200 field `expires_in` was integer, is number [documented only]",
        ]),
    },
    Case {
        name: "a body must be there",
        product: Pay,
        document: &[("      requestBody:\n", "      requestBody:\n        required: true\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "request body is required now [documented only]",
        ]),
    },
    Case {
        name: "another name of a type",
        product: Pay,
        document: &[],
        overlay: &[("title: SessionError", "title: SessionRefusal")],
        expected: Told(Step::Major, &[
            "the error type was `SessionError`, is `SessionRefusal` [breaking for those who match on it]",
        ]),
    },
    Case {
        name: "an error field, required",
        product: Pay,
        document: &[],
        overlay: &[("                    properties:\n                      error:\n", "                    required: [kind]\n                    properties:\n                      kind: {type: string}\n                      error:\n")],
        expected: Told(Step::Minor, &[
            "error 4XX field `kind` added: text, required: a reply without it is refused [compatible]",
        ]),
    },
    Case {
        name: "a body gets its first error",
        product: Pay,
        document: &[("        '400':\n          description: Bad Request\n", "        '400':\n          description: Bad Request\n          content: {application/problem+json: {schema: {type: object, properties: {title: {type: string}}}}}\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "the error type was nothing, is `AuthorizeError` [breaking for those who match on it]",
            "error 400 was no body, is object [breaking for those who match on it]",
        ]),
    },
    Case {
        name: "a list of objects",
        product: Pay,
        document: &[("                    description: Expiration time in seconds.\n", "                    description: Expiration time in seconds.\n                  grants:\n                    type: array\n                    items: {type: object, properties: {name: {type: string}, at: {type: string, format: date-time}}}\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "reply 200 field `grants` added: list of object, optional [compatible]",
        ]),
    },
];

/// What came of each case: the newer project, and its diff.
fn outcomes() -> &'static [(tempfile::TempDir, ProductDiff)] {
    static OUTCOMES: OnceLock<Vec<(tempfile::TempDir, ProductDiff)>> = OnceLock::new();
    OUTCOMES.get_or_init(|| CASES.iter().map(outcome).collect())
}

fn outcome(case: &Case) -> (tempfile::TempDir, ProductDiff) {
    let folder = tempfile::tempdir().unwrap();
    let files = [(case.product.document(), case.document), (case.product.overlay(), case.overlay)];
    for (path, edits) in files {
        let mut text = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap();
        for (from, to) in edits {
            assert!(text.contains(from), "{}: the document no longer has {from:?}", case.name);
            text = text.replace(from, to);
        }
        fs::create_dir_all(folder.path().join(&path).parent().unwrap()).unwrap();
        fs::write(folder.path().join(&path), text).unwrap();
    }
    let diff = diff(Path::new(ROOT), folder.path(), &[case.product]).unwrap().remove(0);
    (folder, diff)
}

fn lines(diff: &ProductDiff) -> Vec<String> {
    diff.changes.iter().map(|change| format!("{} [{}]", change.text(), change.effect.words())).collect()
}

#[test]
fn each_change_is_told_with_what_it_means() {
    assert!(CASES.len() >= 30);
    for (case, (_, diff)) in CASES.iter().zip(outcomes()) {
        let error = diff.refused.as_ref().map(ToString::to_string);
        match (&case.expected, error) {
            (Told(step, expected), None) => {
                assert_eq!(lines(diff), *expected, "{}", case.name);
                assert_eq!(diff.step, *step, "{}", case.name);
            }
            (Refused(parts), Some(error)) => {
                assert!(error.contains("help: ") && error.contains("at: /"), "{}: {error}", case.name);
                parts.iter().for_each(|part| assert!(error.contains(part), "{}: {part}: {error}", case.name));
            }
            (Told(..), Some(error)) => panic!("{}: {error}", case.name),
            (Refused(_), None) => panic!("{}: generated", case.name),
        }
    }
}

/// There and back: a word says that something breaks if, and only if, the generated interface breaks.
#[test]
fn the_words_and_the_interface_agree() {
    for (case, (folder, there)) in CASES.iter().zip(outcomes()) {
        if there.refused.is_some() {
            continue;
        }
        // Going back needs a manifest there, whose version does not matter.
        let manifest = folder.path().join(case.product.folder());
        fs::create_dir_all(&manifest).unwrap();
        fs::write(manifest.join("Cargo.toml"), "[package]\nversion = \"1.2.3\"\n").unwrap();
        let back = diff(folder.path(), Path::new(ROOT), &[case.product]).unwrap().remove(0);
        for diff in [there, &back] {
            let breaks = diff.interface.iter().any(Difference::is_breaking);
            // Credentials of another kind go where the others went: no build breaks, and every call does.
            let is_seen = |line: &&xtask::maintain::diff::Change| !line.text().starts_with("the credentials");
            let said = diff.changes.iter().filter(is_seen).any(|change| change.effect.is_breaking());
            assert_eq!(breaks, said, "{}: {:?}\n{:#?}", case.name, lines(diff), diff.interface);
            assert!(!lines(diff).iter().any(|line| line.contains("for no reason")), "{}: {:?}", case.name, lines(diff));
        }
    }
}

#[test]
fn the_code_of_each_change_compiles() {
    let mut modules = Vec::new();
    for (index, (case, (folder, diff))) in CASES.iter().zip(outcomes()).enumerate() {
        if diff.refused.is_none() {
            let text =
                inspect(folder.path(), case.product, SecretNames::Checked).unwrap().unwrap().generated.unwrap().text;
            let words = case.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
            let name = words.collect::<Vec<_>>().join("_").to_lowercase();
            modules.push((format!("case{index}_{name}"), text));
        }
    }
    assert!(modules.len() >= 30);
    support::compile("changes", &modules);
}
