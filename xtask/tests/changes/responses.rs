//! Changes to successful responses.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Reported, Stale};
use Product::{Connect, Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "an optional response field is added",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  consent_id:\n                    type: string\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "response 200 field `consent_id` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a required response field is added",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  consent_id:\n                    type: string\n                required: [consent_id]\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "response 200 field `consent_id` added: text, required (a response without it is rejected) [compatible]",
        ]),
    },
    Case {
        name: "a response field is removed",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "response 200 field `scope` removed [breaking for code that reads it]",
        ]),
    },
    Case {
        name: "a response field becomes required",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                required: [scope]\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "response 200 field `scope` is now required [breaking for code that reads it]",
        ]),
    },
    Case {
        name: "a response field becomes a list",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: array\n                    items: {type: string}\n                    description: The scope of data associated with the token.\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "response 200 field `scope` changed from text to list of text [breaking for code that reads it]",
        ]),
    },
    Case {
        name: "a response field becomes nullable",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    nullable: true\n                    description: The scope of data associated with the token.\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "response 200 field `scope` can now be null [documentation only]",
        ]),
    },
    Case {
        name: "a response field that is an object is added",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  consent:\n                    type: object\n                    required: [id]\n                    properties:\n                      id: {type: string}\n                      until: {type: string, format: date-time}\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "response 200 field `consent` added: object, optional [compatible]",
        ]),
    },
    Case {
        name: "a response field that is a map is added",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n                  limits:\n                    type: object\n                    additionalProperties: {type: integer}\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "response 200 field `limits` added: map of integer, optional [compatible]",
        ]),
    },
    Case {
        name: "a response field gets a list of values",
        product: Outbound,
        document: &[("                    description: The type of token. Value is `Bearer`.\n", "                    description: The type of token. Value is `Bearer`.\n                    enum: [Bearer]\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "response 200 field `token_type` now allows only `Bearer` [documentation only]",
        ]),
    },
    Case {
        name: "a success status without a body is added",
        product: Outbound,
        document: &[("        4XX:\n", "        '202':\n          description: Not yet.\n        4XX:\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "the success type changed from `TokenResponse` to `TokenResponse`, by status [breaking for code that reads it]",
            "response 202 added: no body [compatible]",
        ]),
    },
    Case {
        name: "a response header is added",
        product: Connect,
        document: &[("        '200':\n          description: Success\n", "        '200':\n          description: Success\n          headers: {X-Left: {schema: {type: integer}}}\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "the list of response headers changed from none to x-left [compatible]",
        ]),
    },
    Case {
        name: "the type of a number changes",
        product: Pay,
        document: &[("                  expires_in:\n                    type: integer\n", "                  expires_in:\n                    type: number\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "response 200 field `expires_in` changed from integer to number [documentation only]",
        ]),
    },
    Case {
        name: "a type is renamed",
        product: Pay,
        document: &[],
        overlay: &[("title: SessionError", "title: SessionRefusal")],
        expected: Reported(Step::Major, &[
            "the error type changed from `SessionError` to `SessionRefusal` [breaking for code that reads it]",
        ]),
    },
    Case {
        name: "a response field that is a list of objects is added",
        product: Pay,
        document: &[("                    description: Expiration time in seconds.\n", "                    description: Expiration time in seconds.\n                  grants:\n                    type: array\n                    items: {type: object, properties: {name: {type: string}, at: {type: string, format: date-time}}}\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "response 200 field `grants` added: list of object, optional [compatible]",
        ]),
    },
    Case {
        name: "a field with a name like a secret is removed",
        product: Outbound,
        document: &[("                  token_type:\n                    type: string\n                    description: The type of token. Value is `Bearer`.\n", "")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "response 200 field `token_type` removed [breaking for code that reads it]",
        ]),
    },
    Case {
        name: "a field that the overlay replaces is removed",
        product: Outbound,
        document: &[("                  expires_in:\n                    type: integer\n                    default: 0\n                    description: The number of seconds until the access token expires.\n", "")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "response 200 field `expires_in` removed [breaking for code that reads it]",
        ], &[
            "properties.expires_in` matches nothing",
            "properties/expires_in`, which the document no longer contains",
        ]),
    },
    Case {
        name: "a field that the overlay replaces is renamed",
        product: Pay,
        document: &[("                  expires_in:\n", "                  lifetime:\n")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "response 200 field `expires_in` removed [breaking for code that reads it]",
            "response 200 field `lifetime` added: integer, optional [compatible]",
        ], &[
            "which contains: access_token, token_type, lifetime",
            "the action belongs to /actions/5, which is stale too",
        ]),
    },
    Case {
        name: "a secret field is renamed",
        product: Outbound,
        document: &[("                  refresh_token:\n                    type: string\n", "                  renewal_token:\n                    type: string\n")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "response 200 field `refresh_token` removed [breaking for code that reads it]",
            "response 200 field `renewal_token` added: text, optional [compatible]",
        ], &[
            "properties.refresh_token` matches nothing",
            "`renewal_token` looks like a secret",
        ]),
    },
    Case {
        name: "a field that the overlay requires is renamed",
        product: Outbound,
        document: &[("                  access_token:\n                    type: string\n", "                  bearer_token:\n                    type: string\n")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "response 200 field `access_token` removed [breaking for code that reads it]",
            "response 200 field `bearer_token` added: text, optional [compatible]",
        ], &[
            "adds `access_token` to `required`, but the schema has no such property",
            "properties.access_token` matches nothing",
            "`bearer_token` looks like a secret",
        ]),
    },
    Case {
        name: "a lenient field is removed",
        product: Outbound,
        document: &[("                  scope:\n                    type: string\n                    description: The scope of data associated with the token.\n", "")],
        overlay: &[("      required: [access_token]\n", "      required: [access_token]\n      x-lenient: [scope]\n")],
        expected: Stale(Step::Major, &[
            "response 200 field `scope` removed [breaking for code that reads it]",
        ], &[
            "adds `scope` to `x-lenient`, but the schema has no such property",
        ]),
    },
];
