//! Changes to successful responses.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Reported};
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
        expected: Refused(&["the client would not expose this response header", "X-Left", "overlay action"]),
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
];
