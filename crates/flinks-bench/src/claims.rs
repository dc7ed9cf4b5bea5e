//! The project's claims: values that are computed from the figures, and a target for each value.

use std::fmt::Write as _;

use crate::fit;
use crate::number::format;
use crate::report::Report;
use crate::table::tables;

/// The table titles and contender names that claims refer to.
pub mod names {
    pub const CACHED_READ: &str = "Cached read";
    pub const WITH_TOKEN: &str = "flinks: Consent::with_token";
    pub const HEADER: &str = "flinks: Consent::header";
    pub const AWS: &str = "aws-smithy-runtime";
    pub const AZURE: &str = "azure_identity";
    pub const GOOGLE: &str = "google-cloud-auth";
    pub const YUP: &str = "yup-oauth2";
    pub const CONSENT: &str = "flinks: Consent";
    pub const FACADE: &str = "flinks: facade";
    pub const BORROWED: &str = "ArcSwap::load and Instant (the token is borrowed)";
    pub const BY_HAND: &str = "reqwest by hand";
    pub const TO_LAST_WAITER: &str = "Time from the response to the last waiter";
    pub const WAITERS: &str = "waiters";
    pub const DEPENDENT: &str = "Dependent program";
    pub const PRODUCTS: [(&str, &str); 3] =
        [("Pay", "flinks-pay"), ("Connect", "flinks-connect"), ("Outbound", "flinks-outbound")];

    /// Returns the title of the table of fresh tokens for a product.
    pub fn fresh(product: &str) -> String {
        format!("Fresh token of Flinks {product}")
    }
}

/// A target and the measured value.
pub struct Claim {
    pub text: String,
    pub measured: f64,
    pub target: Target,
}

#[derive(Clone, Copy)]
pub enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Claim {
    pub fn is_reached(&self) -> bool {
        match self.target {
            Target::AtLeast(limit) => self.measured >= limit,
            Target::AtMost(limit) => self.measured <= limit,
        }
    }
}

/// Returns the claims whose figures have been measured.
pub fn claims(report: &Report) -> Vec<Claim> {
    let mut claims = Claims { report, claims: Vec::new() };
    claims.cached_read();
    claims.fresh_tokens();
    claims.herd();
    claims.dependent();
    claims.growth();
    claims.claims
}

/// Returns the table of claims in Markdown.
pub fn markdown(claims: &[Claim]) -> String {
    let mut text = "| Claim | measured | target | reached |\n| --- | ---: | ---: | --- |\n".to_owned();
    for claim in claims {
        let target = match claim.target {
            Target::AtLeast(limit) => format!("at least {}", format(limit)),
            Target::AtMost(limit) => format!("at most {}", format(limit)),
        };
        let reached = if claim.is_reached() { "yes" } else { "no" };
        let _ = writeln!(text, "| {} | {} | {target} | {reached} |", claim.text, format(claim.measured));
    }
    text
}

struct Claims<'a> {
    report: &'a Report,
    claims: Vec<Claim>,
}

impl Claims<'_> {
    fn value(&self, table: &str, column: &str, contender: &str) -> Option<f64> {
        self.report.find(table, column, contender).map(crate::report::Figure::value)
    }

    /// Adds a claim if its value has been measured.
    fn add(&mut self, text: impl Into<String>, measured: Option<f64>, target: Target) {
        let text = text.into();
        self.claims.extend(measured.map(|measured| Claim { text, measured, target }));
    }

    fn cached_read(&mut self) {
        let read = |column, contender| self.value(names::CACHED_READ, column, contender);
        let google = |column| Some(read(column, names::GOOGLE)? / read(column, names::WITH_TOKEN)?);
        let scaling = (|| Some(read("2 threads", names::WITH_TOKEN)? / read("1 thread", names::WITH_TOKEN)?))();
        let (one, two) = (google("1 thread"), google("2 threads"));
        let allocations = read("allocations", names::HEADER);
        self.add("`with_token`, 1 thread: times faster than google-cloud-auth", one, Target::AtLeast(6.0));
        self.add("`with_token`, 2 threads: times faster than google-cloud-auth", two, Target::AtLeast(8.0));
        self.add("`with_token`: time per read with 2 threads relative to 1 thread", scaling, Target::AtMost(0.65));
        self.add("`header`: allocations", allocations, Target::AtMost(0.0));
    }

    fn fresh_tokens(&mut self) {
        for (product, name) in names::PRODUCTS {
            let table = names::fresh(product);
            for (contender, instructions) in [(name, 0.88), (names::FACADE, 0.92)] {
                for (column, limit) in [("instructions", instructions), ("allocations", 0.85)] {
                    let ratio = (|| {
                        Some(self.value(&table, column, contender)? / self.value(&table, column, names::BY_HAND)?)
                    })();
                    let shown = contender.trim_start_matches("flinks: ");
                    let text = format!("{table}, {shown}: {column} relative to handwritten code");
                    self.add(text, ratio, Target::AtMost(limit));
                }
            }
        }
    }

    fn herd(&mut self) {
        let requests = self.value("10 000 callers without a cached token", "requests", names::CONSENT);
        self.add("10 000 callers without a cached token: requests", requests, Target::AtMost(1.0));
        for (waiters, limit) in [("10 000", 2.0), ("100 000", 20.0)] {
            let time = self.value(names::TO_LAST_WAITER, waiters, names::CONSENT);
            let text = format!("{waiters} waiters: milliseconds from the response to the last waiter");
            self.add(text, time, Target::AtMost(limit));
        }
    }

    fn dependent(&mut self) {
        for column in ["crates", "clean debug build"] {
            let value = |contender| self.value(names::DEPENDENT, column, contender);
            let ratio = (|| Some(value("flinks-pay")? / value("oauth2 with reqwest")?))();
            self.add(
                format!("Program that depends on flinks-pay: {column} relative to oauth2"),
                ratio,
                Target::AtMost(1.0),
            );
        }
    }

    /// Adds a claim about the steepest growth among this project's crates. A cost per item, such as
    /// the bytes per consent, must not grow, and the cost of all items must grow at most linearly.
    fn growth(&mut self) {
        let sized = ["consents", "waiters", "threads", "stores", "documents"];
        for table in sized.iter().filter_map(|name| self.report.runs.get(*name)).flat_map(tables) {
            let exponents = table.series().into_iter().filter(|series| is_ours(series.contender));
            let steepest =
                exponents.filter_map(|series| fit::exponent_of_larger_half(&series.points)).max_by(f64::total_cmp);
            let limit = if table.title.contains(" per ") { 0.2 } else { 1.15 };
            self.add(format!("{}: exponent of the larger half", table.title), steepest, Target::AtMost(limit));
        }
    }
}

fn is_ours(contender: &str) -> bool {
    contender.starts_with("flinks") || contender.starts_with("cargo xtask")
}
