//! The guide, as a crate, so that `cargo test` tests the examples in its pages. Read it with
//! `mdbook serve crates/flinks-guide --open`.

/// Declares a module for each page. The page is the module's documentation, so rustdoc tests its
/// examples.
macro_rules! pages {
    ($($module:ident => $page:literal,)*) => {
        $(
            #[doc = include_str!(concat!("../pages/", $page))]
            mod $module {}
        )*

        /// The pages whose examples are tested.
        #[cfg(test)]
        const TESTED: &[&str] = &[$($page),*];
    };
}

pages! {
    architecture => "architecture.md",
    index => "index.md",
    maintaining => "maintaining.md",
    migrating => "migrating.md",
    production => "production/index.md",
    production_keep_alive => "production/keep-alive.md",
    production_keys => "production/keys.md",
    production_metrics => "production/metrics.md",
    production_outages => "production/outages.md",
    production_stores => "production/stores.md",
    runbook => "runbook.md",
    security => "security.md",
    service => "service/index.md",
    service_clients => "service/clients.md",
    service_connect => "service/connect.md",
    service_outbound => "service/outbound.md",
    service_pay => "service/pay.md",
    service_shutdown => "service/shutdown.md",
    service_tests => "service/tests.md",
    testing => "testing.md",
    which_token => "which-token.md",
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::TESTED;

    #[test]
    fn each_page_is_tested_and_in_the_table_of_contents() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("pages");
        let summary = std::fs::read_to_string(pages.join("SUMMARY.md")).unwrap();
        let listed: BTreeSet<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert_eq!(listed, TESTED.iter().copied().collect());
        assert_eq!(pages_in(&pages, &pages), TESTED.iter().map(ToString::to_string).collect());
    }

    fn pages_in(folder: &Path, root: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(pages_in(&path, root));
            } else if path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("SUMMARY.md") {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
        found
    }
}
