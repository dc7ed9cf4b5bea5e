//! What is received on success.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Told};
use Product::{Connect, Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
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
        name: "a success without a body",
        product: Outbound,
        document: &[("        4XX:\n", "        '202':\n          description: Not yet.\n        4XX:\n")],
        overlay: &[],
        expected: Told(Step::Major, &[
            "the success type was `TokenResponse`, is `TokenResponse`, by status [breaking for those who match on it]",
            "reply 202 added: without a body [compatible]",
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
        name: "the type of a number",
        product: Pay,
        document: &[("                  expires_in:\n                    type: integer\n", "                  expires_in:\n                    type: number\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "reply 200 field `expires_in` was integer, is number [documented only]",
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
        name: "a list of objects",
        product: Pay,
        document: &[("                    description: Expiration time in seconds.\n", "                    description: Expiration time in seconds.\n                  grants:\n                    type: array\n                    items: {type: object, properties: {name: {type: string}, at: {type: string, format: date-time}}}\n")],
        overlay: &[],
        expected: Told(Step::Minor, &[
            "reply 200 field `grants` added: list of object, optional [compatible]",
        ]),
    },
];
