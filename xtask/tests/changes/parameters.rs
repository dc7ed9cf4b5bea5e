//! Changes to parameters and headers.

use xtask::Product;
use xtask::maintain::diff::Step;

use super::{Case, Expected};

use Expected::{Refused, Reported, Stale};
use Product::Connect;

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "an optional header is added",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: X-Request-Id\n          in: header\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "header `X-Request-Id` added: text, optional [compatible]",
        ]),
    },
    Case {
        name: "a required header is added",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: X-Region\n          in: header\n          required: true\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Reported(Step::Major, &[
            "header `X-Region` added: text, required [breaking for callers]",
        ]),
    },
    Case {
        name: "a query parameter with a list of values is added",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: region\n          in: query\n          schema: {type: string, enum: [ca, us]}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "query parameter `region` added: text (`ca`, `us`), optional [compatible]",
        ]),
    },
    Case {
        name: "a query parameter that is a list is added",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: regions\n          in: query\n          schema: {type: array, items: {type: string}}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Reported(Step::Minor, &[
            "query parameter `regions` added: list of text, optional [compatible]",
        ]),
    },
    Case {
        name: "a cookie is added",
        product: Connect,
        document: &[("        - name: Content-Type\n", "        - name: sid\n          in: cookie\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[],
        expected: Refused(&["`sid` is a cookie", "overlay action"]),
    },
    Case {
        name: "a header that is not an argument is removed",
        product: Connect,
        document: &[("        - name: Accept\n          in: header\n          required: true\n          description: Acceptable response media type.\n          schema:\n            type: string\n            default: application/json\n", "")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "header `Accept` removed [documentation only]",
        ]),
    },
    Case {
        name: "a path parameter is renamed",
        product: Connect,
        document: &[("/v3/{customerId}/", "/v3/{tenantId}/"), ("- name: customerId\n", "- name: tenantId\n")],
        overlay: &[("/v3/{customerId}/BankingServices/GenerateAuthorizeToken", "/v3/{tenantId}/BankingServices/GenerateAuthorizeToken"), ("parameters[?(@.name == 'customerId')]", "parameters[?(@.name == 'tenantId')]")],
        expected: Reported(Step::Minor, &[
            "path parameter `tenantId` was previously named `customerId` [compatible]",
        ]),
    },
    Case {
        name: "a path parameter is added",
        product: Connect,
        document: &[("/v3/{customerId}/BankingServices/Gen", "/v3/{customerId}/{region}/Gen"), ("        - name: Content-Type\n", "        - name: region\n          in: path\n          required: true\n          schema: {type: string}\n        - name: Content-Type\n")],
        overlay: &[("/v3/{customerId}/BankingServices/GenerateAuthorizeToken", "/v3/{customerId}/{region}/GenerateAuthorizeToken")],
        expected: Reported(Step::Major, &[
            "operation `generateAuthorizeToken` moved from POST /v3/{customerId}/BankingServices/GenerateAuthorizeToken [compatible]",
            "path parameter `region` added: text, required [breaking for callers]",
        ]),
    },
    Case {
        name: "the header of the secret key is renamed",
        product: Connect,
        document: &[("- name: flinks-auth-key\n", "- name: flinks-key\n")],
        overlay: &[],
        expected: Stale(Step::Major, &[
            "header `flinks-auth-key` removed [breaking for callers]",
            "header `flinks-key` added: text, required [breaking for callers]",
        ], &[
            "parameters[?(@.name == 'flinks-auth-key')].schema` matches nothing",
            "which contains: customerId, flinks-key",
            "`flinks-key` looks like a secret",
        ]),
    },
    Case {
        name: "the customer id of the sandbox is removed",
        product: Connect,
        document: &[("            default: 43387ca6-0391-4c82-857d-70d95f087ecb\n", "")],
        overlay: &[],
        expected: Reported(Step::Patch, &[
            "path parameter `customerId` changed its `default` from 43387ca6-0391-4c82-857d-70d95f087ecb to none [documentation only]",
        ]),
    },
];
