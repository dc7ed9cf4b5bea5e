//! Changes to an operation's errors.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Reported, Stale};
use Product::{Connect, Outbound, Pay};

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "an error field is added in every status",
        product: Outbound,
        document: &[("                  error_description:\n                    type: string\n                    description: A description of the error.\n", "                  error_description:\n                    type: string\n                    description: A description of the error.\n                  error_uri:\n                    type: string\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "error 4XX, 5XX field `error_uri` added: text, optional [compatible]",
            "the error type changed from `ErrorResponse` to `RevokeError` (another schema is now named `ErrorResponse`) [breaking for code that reads it]",
        ]),
    },
    Case {
        name: "an error field is added in every status and in the overlay",
        product: Outbound,
        document: &[("                  error_description:\n                    type: string\n                    description: A description of the error.\n", "                  error_description:\n                    type: string\n                    description: A description of the error.\n                  error_uri:\n                    type: string\n")],
        overlay: &[("                        description: A description of the error.\n", "                        description: A description of the error.\n                      error_uri: {type: string}\n")],
        expected: Reported(Step::Minor, &[
            "error 4XX, 5XX field `error_uri` added: text, optional [compatible]",
            "error 4XX, 5XX field `error_uri` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "an error status with another body is added",
        product: Outbound,
        document: &[("        5XX:\n          description: Returned when an unhandled", "        '429':\n          description: x\n          content:\n            application/json:\n              schema:\n                type: object\n                properties:\n                  error:\n                    type: string\n                  retry_in:\n                    type: integer\n                  error_description:\n                    type: string\n        5XX:\n          description: Returned when an unhandled")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "the error type changed from `ErrorResponse` to `TokenError`, by status [breaking for code that reads it]",
            "error 429 added: object [compatible]",
        ]),
    },
    Case {
        name: "an error status with the known body is added",
        product: Outbound,
        document: &[("        5XX:\n          description: Returned when an unhandled", "        '429':\n          description: x\n          content:\n            application/json:\n              schema:\n                type: object\n                properties:\n                  error:\n                    type: string\n                  error_description:\n                    type: string\n        5XX:\n          description: Returned when an unhandled")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "error 429 added: object [compatible]",
        ]),
    },
    Case {
        name: "an error status without a body is added",
        product: Outbound,
        document: &[("        5XX:\n          description: Returned when an unhandled", "        '429':\n          description: x\n        5XX:\n          description: Returned when an unhandled")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "error 429 added: no body [documentation only]",
        ]),
    },
    Case {
        name: "two different error bodies have one title",
        product: Outbound,
        document: &[("                  error_description:\n                    type: string\n                    description: A description of the error.\n              example:\n                error: server_error", "                  error_description:\n                    type: string\n                    description: A description of the error.\n                  hint: {type: string}\n              example:\n                error: server_error")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "the error type changed from `ErrorResponse` to `TokenError`, by status [breaking for code that reads it]",
            "error 5XX field `hint` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a range of error statuses becomes a single status",
        product: Outbound,
        document: &[("        4XX:\n", "        '400':\n")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "the error type changed from `ErrorResponse` to `TokenError` [breaking for code that reads it]",
            "error 400 added: object [compatible]",
            "error 4XX removed [compatible]",
        ], &[
            "the longest part that still matches is `$.paths['/api/v1/token'].post.responses`, which contains: 200, 400, 5XX",
        ]),
    },
    Case {
        name: "a range of error statuses becomes a single status, in the overlay too",
        product: Outbound,
        document: &[("        4XX:\n", "        '400':\n")],
        overlay: &[("responses['4XX']", "responses['400']")],
        expected: Reported(Step::Minor, &[
            "error 400 added: object [compatible]",
            "error 4XX removed [compatible]",
        ]),
    },
    Case {
        name: "an error status of Connect is added",
        product: Connect,
        document: &[("      security: []\n", "        '429':\n          description: Too many.\n      security: []\n")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "error 429 added: no body [documentation only]",
        ]),
    },
    Case {
        name: "a required error field is added",
        product: Pay,
        document: &[],
        overlay: &[("                    properties:\n                      error:\n", "                    required: [kind]\n                    properties:\n                      kind: {type: string}\n                      error:\n")],
        expected: Reported(Step::Minor, &[
            "error 4XX field `kind` added: text, required (a response without it is rejected) [compatible]",
        ]),
    },
    Case {
        name: "an operation gets its first error body",
        product: Pay,
        document: &[("        '400':\n          description: Bad Request\n", "        '400':\n          description: Bad Request\n          content: {application/problem+json: {schema: {type: object, properties: {title: {type: string}}}}}\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "the error type changed from none to `AuthorizeError` [breaking for code that reads it]",
            "error 400 changed from no body to object [breaking for code that reads it]",
        ]),
    },
];
