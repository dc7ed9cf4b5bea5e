//! Records the metrics that one thread emits, in the Prometheus text format.

use std::collections::BTreeMap;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

/// The metrics of a test. Each test runs its tasks on its own thread.
pub(crate) struct Recorder(PrometheusRecorder);

/// A line in the Prometheus text format.
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        // With buckets, durations are histograms. Otherwise, they would be summaries.
        Self(PrometheusBuilder::new().set_buckets(&[1.0]).unwrap().build_recorder())
    }

    /// Records the metrics emitted on this thread until the returned value is dropped.
    pub(crate) fn record(&self) -> metrics::LocalRecorderGuard<'_> {
        metrics::set_default_local_recorder(&self.0)
    }

    pub(crate) fn text(&self) -> String {
        self.0.handle().render()
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.text().lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect()
    }

    /// Returns the sum of the samples that have the given name and at least the given labels.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has_labels = |sample: &Sample| {
            labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|found| found == value))
        };
        let samples = self.samples().into_iter().filter(|sample| sample.name == name && has_labels(sample));
        samples.map(|sample| sample.value).sum()
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    // No label value contains a comma or a quotation mark.
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty()).map(|label| {
        let (name, value) = label.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('"').to_owned())
    });
    Sample { name: name.to_owned(), labels: labels.collect(), value: value.parse().unwrap() }
}
