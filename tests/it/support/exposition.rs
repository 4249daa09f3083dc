//! Prometheus's text format, read.

use std::collections::BTreeMap;

/// One page of metrics.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Type and help of each family.
    pub(crate) families: BTreeMap<String, (String, String)>,
    /// Name, labels and value of each sample.
    pub(crate) samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Exposition {
    /// Reads a page; each sample has to belong to a family that was announced.
    pub(crate) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines() {
            let comment = |word: &str| line.strip_prefix(word).and_then(|rest| rest.split_once(' '));
            if let Some((name, help)) = comment("# HELP ") {
                page.families.entry(name.into()).or_default().1 = help.into();
            } else if let Some((name, kind)) = comment("# TYPE ") {
                page.families.entry(name.into()).or_default().0 = kind.into();
            } else {
                let sample = sample(line).unwrap_or_else(|| panic!("no sample: {line}"));
                assert!(page.family(&sample.0).is_some(), "{line}: of no family");
                page.samples.push(sample);
            }
        }
        page
    }

    fn family(&self, sample: &str) -> Option<&(String, String)> {
        let of_histogram = || ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end));
        self.families.get(sample).or_else(|| self.families.get(of_histogram()?))
    }

    /// The sum of the samples of that name that have these labels; `None` where there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let has = |found: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| found.get(*label).is_some_and(|found| found == value))
        };
        let found = self.samples.iter().filter(|(sample, found, _)| sample == name && has(found));
        found.map(|(.., value)| *value).reduce(|sum, value| sum + value)
    }
}

fn sample(line: &str) -> Option<(String, BTreeMap<String, String>, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let mut rest = labels.strip_suffix('}')?;
    let mut labels = BTreeMap::new();
    while let Some((label, after)) = rest.split_once("=\"") {
        // None of our values has a quote in it.
        let (value, after) = after.split_once('"')?;
        labels.insert(label.to_owned(), value.to_owned());
        rest = after.trim_start_matches(',');
    }
    rest.is_empty().then_some((name.to_owned(), labels, value.parse().ok()?))
}
