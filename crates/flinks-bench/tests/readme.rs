//! Checks that the README shows the committed figures and that the tables are correct.

use std::path::Path;

use flinks_bench::claims::{claims, names};
use flinks_bench::readme;
use flinks_bench::report::{Case, Conditions, Report, Run};
use flinks_bench::table::{Detail, tables};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn readme_and_plots_show_the_committed_figures() {
    let report = Report::read(&folder().join("figures.json")).unwrap();
    let text = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let written = readme::with_figures(&text, &report).unwrap();
    assert!(written == text, "the README is not up to date: run `cargo xtask bench --render`");
    let fresh = tempfile::tempdir().unwrap();
    readme::write_plots(&report, fresh.path()).unwrap();
    for plot in std::fs::read_dir(fresh.path()).unwrap() {
        let plot = plot.unwrap();
        let committed = std::fs::read(folder().join("plots").join(plot.file_name())).unwrap_or_default();
        let is_current = committed == std::fs::read(plot.path()).unwrap();
        assert!(is_current, "{:?} is not up to date: run `cargo xtask bench --render`", plot.file_name());
    }
}

fn run(measured_at: &str, cases: &[(Case, &str, &[f64])]) -> Run {
    let conditions = Conditions { measured_at: measured_at.to_owned(), ..Conditions::default() };
    let mut run = Run { conditions, ..Run::default() };
    for (case, contender, values) in cases {
        run.add(case.clone(), contender, values.to_vec());
    }
    run
}

#[test]
fn only_the_text_between_the_markers_is_replaced() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let report = Report::default();
    let once = readme::with_figures(&readme, &report).unwrap();
    assert_eq!(readme::with_figures(&once, &report).unwrap(), once);
    let (start, end) = (readme.find("<!-- The lines").unwrap(), readme.find("<!-- end").unwrap());
    assert!(once.starts_with(&readme[..start]));
    assert!(once.ends_with(&readme[end..]));
    readme::with_figures("no markers", &report).unwrap_err();
}

#[test]
fn table_shows_ratios_and_lowest_rounds() {
    let case = Case::new("T", "1 thread", "ns").lowest();
    let count = Case::new("T", "requests", "requests");
    let run =
        run("", &[(case.clone(), "ours", &[9.0, 2.0, 5.0]), (case, "Arc<T>", &[8.0, 7.0]), (count, "ours", &[1.0])]);
    let expected = "|  | 1 thread, ns, lowest | requests |\n| --- | ---: | ---: |\n| ours | 2 | 1 |\n| Arc\\<T> | 7 (3.50×) |  |\n";
    assert_eq!(tables(&run)[0].markdown(Detail::Figures), expected);
    assert!(tables(&run)[0].markdown(Detail::Rounds).contains("| 2 [2 - 9] |"));
}

#[test]
fn table_of_growth_has_a_column_for_each_size_and_the_exponents() {
    let sized = |size| Case::sized("G", "consents", size, "ms");
    let run = run("", &[(sized(1000), "ours", &[1.0]), (sized(10_000), "ours", &[100.0])]);
    let text = tables(&run)[0].markdown(Detail::Figures);
    assert!(text.contains("| ms, by number of consents | 1 000 | 10 000 | exponent | of the larger half |"), "{text}");
    assert!(text.contains("| ours | 1 | 100 | 2.00 | 2.00 |"), "{text}");
}

#[test]
fn merge_keeps_the_newer_run_of_each_benchmark() {
    let report = |runs: &[(&str, &str)]| Report {
        runs: runs.iter().map(|(name, at)| ((*name).to_owned(), run(at, &[]))).collect(),
    };
    let merged = report(&[("read", "2026-01-02"), ("herd", "2026-01-01")]).merge(report(&[
        ("read", "2026-01-01"),
        ("herd", "2026-01-02"),
        ("pool", "2026-01-01"),
    ]));
    assert_eq!(merged, report(&[("read", "2026-01-02"), ("herd", "2026-01-02"), ("pool", "2026-01-01")]));
}

#[test]
fn claims_compare_ratios_with_targets() {
    let case = |column| Case::new(names::CACHED_READ, column, "ns");
    let run = run(
        "",
        &[
            (case("1 thread"), names::WITH_TOKEN, &[10.0]),
            (case("1 thread"), names::GOOGLE, &[59.0]),
            (case("2 threads"), names::WITH_TOKEN, &[6.5]),
            (case("2 threads"), names::GOOGLE, &[52.0]),
        ],
    );
    let report = Report { runs: [("read".to_owned(), run)].into() };
    let claims = claims(&report);
    let reached: Vec<_> = claims.iter().map(|claim| (claim.measured, claim.is_reached())).collect();
    assert_eq!(reached, [(5.9, false), (8.0, true), (0.65, true)]);
}
