//! The errors of an operation.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Told};
use Product::{Connect, Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
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
            "error 429 added: without a body [documented only]",
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
        expected: Refused(&["matches nothing", "responses['4XX']", "it leads as far as `$.paths['/api/v1/token'].post.responses`, which now has: 200, 400, 5XX"]),
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
        name: "an error status of Connect",
        product: Connect,
        document: &[("      security: []\n", "        '429':\n          description: Too many.\n      security: []\n")],
        overlay: &[],
        expected: Told(Step::Patch, &[
            "error 429 added: without a body [documented only]",
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
            "error 400 was without a body, is object [breaking for those who match on it]",
        ]),
    },
];
