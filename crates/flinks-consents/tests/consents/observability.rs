//! Checks that `OBSERVABILITY.md` and the dashboard list exactly the metrics and events that the
//! crates record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, SharedString, Unit};

use flinks_consents::{AppTokenSource, Consents};

use crate::outbound_client::credentials;
use crate::recorder::{Recorder, Sample};

const PAGE: &str = include_str!("../../OBSERVABILITY.md");
const DASHBOARD: &str = include_str!("../../grafana/flinks.json");

/// The table of metrics.
pub(crate) struct Page(BTreeMap<String, Metric>);

struct Metric {
    kind: String,
    unit: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

impl Page {
    pub(crate) fn read() -> Self {
        let table = PAGE.lines().skip_while(|line| !line.starts_with("| metric |")).skip(2);
        let rows = table.take_while(|line| line.starts_with('|'));
        let metrics = rows.map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [name, kind, unit, labels, _] = cells[..] else { panic!("not a row of the table: {row}") };
            let labels = labels.split(';').map(str::trim).filter(|label| !label.is_empty()).map(|label| {
                let (name, values) = label.split_once(':').unwrap();
                (unquote(name), values.split_whitespace().map(unquote).collect())
            });
            let metric = Metric { kind: kind.to_owned(), unit: unit.to_owned(), labels: labels.collect() };
            (unquote(name), metric)
        });
        Self(metrics.collect())
    }

    /// Asserts that `OBSERVABILITY.md` lists all recorded metrics, labels and values.
    pub(crate) fn check(&self, recorder: &Recorder) {
        let samples = recorder.samples();
        assert!(!samples.is_empty());
        for Sample { name, mut labels, .. } in samples {
            let metric = self.metric(&name).unwrap_or_else(|| panic!("the page does not list {name}"));
            labels.remove("le");
            let documented: Vec<&String> = metric.labels.keys().collect();
            assert_eq!(labels.keys().collect::<Vec<_>>(), documented, "the labels of {name}");
            for (label, value) in labels {
                assert!(metric.labels[&label].contains(&value), "the page does not list {label}={value} of {name}");
            }
        }
    }

    /// Returns the metric to which a series belongs.
    fn metric(&self, series: &str) -> Option<&Metric> {
        self.0.get(&self.name_of(series)?)
    }

    fn name_of(&self, series: &str) -> Option<String> {
        if self.0.contains_key(series) {
            return Some(series.to_owned());
        }
        let name = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| series.strip_suffix(suffix))?;
        let is_histogram = self.0.get(name).is_some_and(|metric| metric.kind == "histogram");
        is_histogram.then(|| name.to_owned())
    }
}

fn unquote(text: &str) -> String {
    text.trim().strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap().to_owned()
}

/// A recorder that remembers the kind and the unit of each described metric.
#[derive(Default)]
struct Descriptions(Mutex<BTreeMap<String, (String, String)>>);

impl Descriptions {
    fn add(&self, name: &KeyName, kind: &str, unit: Option<Unit>, description: &SharedString) {
        assert!(!description.is_empty());
        let entry = (kind.to_owned(), unit.unwrap().as_str().to_owned());
        self.0.lock().unwrap().insert(name.as_str().to_owned(), entry);
    }
}

impl metrics::Recorder for Descriptions {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.add(&name, "counter", unit, &description);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.add(&name, "gauge", unit, &description);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, description: SharedString) {
        self.add(&name, "histogram", unit, &description);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn page_lists_each_described_metric() {
    let descriptions = Descriptions::default();
    let describe = |build: fn(flinks::outbound::Client)| {
        metrics::with_local_recorder(&descriptions, || {
            let base_url = "http://127.0.0.1:9".parse().unwrap();
            build(flinks::outbound::Client::builder(base_url, credentials()).build().unwrap());
        });
        std::mem::take(&mut *descriptions.0.lock().unwrap())
    };
    let of_consents = describe(|client| drop(Consents::new(client)));
    let of_application = describe(|client| drop(AppTokenSource::new(client, None)));
    assert_eq!(of_consents, of_application);
    let page = Page::read();
    let documented: BTreeMap<_, _> =
        page.0.iter().map(|(name, metric)| (name.clone(), (metric.kind.clone(), metric.unit.clone()))).collect();
    assert_eq!(documented, of_consents);
}

#[test]
fn dashboard_shows_each_metric() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().unwrap() >= 38);
    let page = Page::read();
    let mut shown = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is not unique");
        assert_eq!(panel["datasource"]["uid"], "${DS_PROMETHEUS}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            let series = names(query);
            assert!(!series.is_empty(), "{title}: the query has no metric");
            for series in series {
                let name = page.name_of(&series);
                shown.insert(name.unwrap_or_else(|| panic!("{title}: the page does not list {series}")));
            }
        }
    }
    assert_eq!(shown, page.0.into_keys().collect());
}

/// Returns all words in `query` that start with `flinks_`.
fn names(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("flinks_")).map(str::to_owned).collect()
}

#[test]
fn page_lists_each_event() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !crates.join("flinks-core").is_dir() {
        // A packaged crate does not include the other crates.
        return;
    }
    let mut messages = BTreeSet::new();
    for name in ["flinks-core", "flinks", "flinks-consents", "flinks-redis", "flinks-postgres"] {
        collect_messages(&crates.join(name).join("src"), &mut messages);
    }
    assert!(messages.len() > 20, "{messages:?}");
    // The page does not repeat the values in a message.
    messages.retain(|message| !PAGE.contains(message.split('{').next().unwrap()));
    assert!(messages.is_empty(), "the page does not list these events: {messages:#?}");
}

/// Collects the messages of all events in a folder's source files, including subfolders.
fn collect_messages(folder: &Path, messages: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_messages(&path, messages);
            continue;
        }
        let source = std::fs::read_to_string(&path).unwrap();
        for level in ["error", "warn", "info", "debug", "trace"] {
            for event in source.split(&format!("tracing::{level}!(")).skip(1) {
                // The message is the first string, because no field contains a string.
                messages.insert(event.split('"').nth(1).unwrap().to_owned());
            }
        }
    }
}
