//! Changes to request bodies.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Reported, Stale};
use Product::{Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "an optional request field is added",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                nonce:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "request field `nonce` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a required request field is added",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                nonce:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app"), ("              required:\n                - grant_type\n", "              required:\n                - grant_type\n                - nonce\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `nonce` added: text, required [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field is removed",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app management, only if you are using\n                    `client_credentials` as the `grant_type`.\n", "")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `scope` removed [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes required",
        product: Outbound,
        document: &[("              required:\n                - grant_type\n", "              required:\n                - grant_type\n                - redirect_uri\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `redirect_uri` is now required [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes optional",
        product: Outbound,
        document: &[("              required:\n                - grant_type\n", "")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `grant_type` is now optional [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes a boolean",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: boolean\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `scope` changed from text to boolean [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes a list",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: array\n                  items: {type: string}\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `scope` changed from text to list of text [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field gets a default",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: string\n                  default: accounts\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `scope` changed its `default` from none to accounts [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field gets a maximum length",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: string\n                  maxLength: 9\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "request field `scope` changed its `maxLength` from none to 9 [documentation only]",
        ]),
    },
    Case {
        name: "a request field gets a list of values",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  type: string\n                  enum: [accounts, payments]\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `scope` now allows only `accounts`, `payments` [breaking for callers]",
        ]),
    },
    Case {
        name: "a request field becomes one of two types",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                scope:\n                  oneOf: [{type: string}, {type: array, items: {type: string}}]\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request field `scope` changed from text to one of several types [breaking for callers]",
        ]),
    },
    Case {
        name: "a field that looks like a secret is added",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                client_assertion_token:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app")],
        overlay: &[],
        expected: Refused(&["`client_assertion_token` looks like a secret", "operation: token (POST /api/v1/token)", "- target: $['paths']['/api/v1/token']['post']['requestBody']"]),
    },
    Case {
        name: "a field that looks like a secret is added and marked",
        product: Outbound,
        document: &[("                scope:\n                  type: string\n                  description: >-\n                    Use for app", "                client_assertion_token:\n                  type: string\n                scope:\n                  type: string\n                  description: >-\n                    Use for app")],
        overlay: &[("actions:\n", "actions:\n  - target: $.paths['/api/v1/token'].post.requestBody.content['application/json'].schema.properties.client_assertion_token\n    description: A secret (A3).\n    update:\n      format: password\n\n")],
        expected: Reported(Step::Minor, &[
            "request field `client_assertion_token` added: secret, optional [compatible]",
        ]),
    },
    Case {
        name: "the mark of a secret is removed",
        product: Outbound,
        document: &[],
        overlay: &[("      format: password\n\n  - target: $.paths['/api/v1/token'].post.requestBody.content['application/json'].schema.properties.refresh_token", "      x-not-secret: For this test.\n\n  - target: $.paths['/api/v1/token'].post.requestBody.content['application/json'].schema.properties.refresh_token")],
        expected: Reported(Step::Major, &[
            "request field `code` changed from secret to text [breaking for callers]",
        ]),
    },
    Case {
        name: "a value of a request field is added",
        product: Outbound,
        document: &[],
        overlay: &[("enum: [client_credentials, authorization_code, refresh_token]", "enum: [client_credentials, authorization_code, refresh_token, device]")],
        expected: Reported(Step::Minor, &[
            "request field `grant_type` now also allows `device` [compatible]",
        ]),
    },
    Case {
        name: "a value of a request field is removed",
        product: Outbound,
        document: &[],
        overlay: &[("enum: [client_credentials, authorization_code, refresh_token]", "enum: [client_credentials, refresh_token]")],
        expected: Reported(Step::Major, &[
            "request field `grant_type` no longer allows `authorization_code` [breaking for callers]",
        ]),
    },
    Case {
        name: "the form becomes JSON",
        product: Pay,
        document: &[("application/x-www-form-urlencoded:", "application/json:")],
        overlay: &[("requestBody.content['application/x-www-form-urlencoded']", "requestBody.content['application/json']")],
        expected: Reported(Step::Minor, &[
            "the media type changed from application/x-www-form-urlencoded to application/json [compatible]",
        ]),
    },
    Case {
        name: "the form becomes multipart",
        product: Pay,
        document: &[("application/x-www-form-urlencoded:", "multipart/form-data:")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "the media type changed from application/x-www-form-urlencoded to multipart/form-data [compatible]",
            "request field `Password` changed from secret to text [breaking for callers]",
            "request field `Password` is now optional [breaking for callers]",
            "request field `Username` is now optional [breaking for callers]",
            "request field `grant_type` is now optional [breaking for callers]",
            "request field `grant_type` now allows any text [breaking for callers]",
        ], &["which contains: multipart/form-data", "which is stale too", "`Password` looks like a secret"]),
    },
    Case {
        name: "the order of required fields changes",
        product: Pay,
        document: &[("                Username:\n                  type: string\n                  description: The username provided during onboarding.\n                Password:\n                  type: string\n                  description: The password provided during onboarding.\n", "                Password:\n                  type: string\n                  description: The password provided during onboarding.\n                Username:\n                  type: string\n                  description: The username provided during onboarding.\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "request body takes its fields in a different order: `grant_type`, `Password`, `Username` [breaking for callers]",
        ]),
    },
    Case {
        name: "the request body becomes required",
        product: Pay,
        document: &[("      requestBody:\n", "      requestBody:\n        required: true\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "request body is now required [documentation only]",
        ]),
    },
];
