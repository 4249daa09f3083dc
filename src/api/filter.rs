//! Which events: the parameters of a query, as the API takes them and as a client writes them. Pure.

use crate::event::subject::token;
use crate::event::{Invalid, Kind, Offset, Pattern, StreamId, Timestamp};
use crate::store::Query;

/// The most events in a page.
pub const MAX_LIMIT: usize = 1000;
/// The events in a page, where nothing else is asked for.
pub const DEFAULT_LIMIT: usize = 100;
/// The most values that one parameter may have.
const MAX_VALUES: usize = 64;

const PARAMETERS: &str = "subject, type, session, process, since, until, order, after, limit or from";

/// Which events, and how many of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// Any of these subjects; none means all.
    pub subjects: Vec<Pattern>,
    /// Any of these types; none means all.
    pub kinds: Vec<Kind>,
    /// Any of these processes, each `NAME` or `NAMESPACE/NAME`; not with `subjects`.
    pub processes: Vec<String>,
    /// Of this stream.
    pub session: Option<StreamId>,
    /// That happened at this time or later.
    pub since: Option<Timestamp>,
    /// That happened before this time.
    pub until: Option<Timestamp>,
    /// The newest first.
    pub newest_first: bool,
    /// Behind this offset, in the direction of the query.
    pub after: Option<Offset>,
    /// So many a page, 1 to [`MAX_LIMIT`]; [`DEFAULT_LIMIT`] where there is none.
    pub limit: Option<usize>,
    /// Where a follower begins; nothing means now.
    pub from: Option<Begin>,
}

/// Where a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With the first event that is still there.
    Start,
    /// With the next event that comes.
    Now,
    /// With that one.
    Offset(Offset),
}

impl Filter {
    /// Reads the query part of a URL.
    pub fn parse(query: &str) -> Result<Self, Invalid> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            filter.set(&name, &value)?;
        }
        filter.validate()?;
        Ok(filter)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Invalid> {
        match name {
            "subject" => self.subjects.push(Pattern::parse(value)?),
            "type" => {
                for kind in value.split(',') {
                    self.kinds.push(Kind::new(kind)?);
                }
            }
            "process" => self.processes.push(value.into()),
            "session" => self.session = Some(StreamId::new(value)?),
            "since" => self.since = Some(time("since", value)?),
            "until" => self.until = Some(time("until", value)?),
            "order" => self.newest_first = order(value)?,
            "after" => self.after = Some(offset("after", value)?),
            "limit" => self.limit = Some(limit(value)?),
            "from" => self.from = Some(from(value)?),
            _ => return Err(Invalid::new("query", name, format!("the parameters {PARAMETERS}"))),
        }
        Ok(())
    }

    /// Checks what the single parameters do not show.
    pub fn validate(&self) -> Result<(), Invalid> {
        let counts = [self.subjects.len(), self.kinds.len(), self.processes.len()];
        if counts.into_iter().any(|count| count > MAX_VALUES) {
            return Err(Invalid::new("query", "", format!("at most {MAX_VALUES} values of one parameter")));
        }
        if !self.processes.is_empty() && !self.subjects.is_empty() {
            return Err(Invalid::new("process", "", "either processes or subjects, not both"));
        }
        if self.processes.iter().any(|name| name.is_empty() || name.len() > 512) {
            return Err(Invalid::new("process", "", "NAME or NAMESPACE/NAME, at most 512 bytes"));
        }
        Ok(())
    }

    /// Writes the query part of a URL, which [`Filter::parse`] reads back.
    pub fn to_query(&self) -> String {
        let from = self.from.map(|from| match from {
            Begin::Start => "start".into(),
            Begin::Now => "now".into(),
            Begin::Offset(offset) => offset.to_string(),
        });
        let several = self.subjects.iter().map(|subject| ("subject", subject.to_string()));
        let several = several.chain(self.kinds.iter().map(|kind| ("type", kind.to_string())));
        let several = several.chain(self.processes.iter().map(|process| ("process", process.clone())));
        let single = [
            ("session", self.session.as_ref().map(ToString::to_string)),
            ("since", self.since.map(|time| time.to_string())),
            ("until", self.until.map(|time| time.to_string())),
            ("order", self.newest_first.then(|| "desc".into())),
            ("after", self.after.map(|offset| offset.to_string())),
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("from", from),
        ];
        let single = single.into_iter().filter_map(|(name, value)| Some((name, value?)));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(several.chain(single)).finish()
    }

    /// The query of the store. `prefixes` are what the subjects of processes begin with.
    pub fn query(&self, prefixes: &[String]) -> Result<Query, Invalid> {
        let mut subjects = self.subjects.clone();
        for process in &self.processes {
            for prefix in prefixes {
                subjects.push(Pattern::parse(process_pattern(prefix, process, "*"))?);
            }
        }
        Ok(Query {
            subjects,
            kinds: self.kinds.clone(),
            session: self.session.clone(),
            since: self.since,
            until: self.until,
            newest_first: self.newest_first,
            after: self.after,
            limit: self.limit.unwrap_or(DEFAULT_LIMIT),
        })
    }
}

/// The subjects of a process, `NAME` or `NAMESPACE/NAME`, under a prefix, of one type or of any (`*`).
pub fn process_pattern(prefix: &str, process: &str, kind: &str) -> String {
    match process.split_once('/') {
        Some((namespace, name)) => format!("{prefix}.{}.{}.{kind}", token(namespace), token(name)),
        None => format!("{prefix}.*.{}.{kind}", token(process)),
    }
}

pub(super) fn time(field: &'static str, value: &str) -> Result<Timestamp, Invalid> {
    value.parse().map_err(|error: Invalid| Invalid { field, ..error })
}

fn offset(field: &'static str, value: &str) -> Result<Offset, Invalid> {
    value.parse().map_err(|_| Invalid::new(field, value, "an offset: a whole number from 0"))
}

fn order(value: &str) -> Result<bool, Invalid> {
    match value {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(Invalid::new("order", value, "asc (the oldest first) or desc")),
    }
}

pub(super) fn limit(value: &str) -> Result<usize, Invalid> {
    let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Invalid::new("limit", value, format!("a whole number from 1 to {MAX_LIMIT}")))
}

fn from(value: &str) -> Result<Begin, Invalid> {
    match value {
        "start" => Ok(Begin::Start),
        "now" => Ok(Begin::Now),
        _ => offset("from", value)
            .map(Begin::Offset)
            .map_err(|_| Invalid::new("from", value, "start, now or an offset")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_and_writing_are_inverse() {
        let text = "subject=core.process.%3E&type=crashed&type=started&session=proc-main-1\
                    &since=2025-10-16T09%3A53%3A31.000Z&order=desc&after=17&limit=5&from=start";
        let filter = Filter::parse(text).expect("a query");
        assert_eq!(filter.to_query(), text);
        assert_eq!(filter.kinds.len(), 2);
        assert_eq!(Filter::parse("type=crashed,started&process=a%20b/c").expect("a query").kinds, filter.kinds);
        assert_eq!(Filter::parse("").expect("a query"), Filter::default());
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let check = |query: &str, field: &str| {
            assert_eq!(Filter::parse(query).expect_err(query).field, field, "{query}");
        };
        check("limit=0", "limit");
        check("limit=1001", "limit");
        check("since=yesterday", "since");
        check("until=1", "until");
        check("order=up", "order");
        check("after=-1", "after");
        check("from=then", "from");
        check("type=Crashed", "type");
        check("subject=a..b", "subject");
        check("session=a.b", "session");
        check("sesion=a", "query");
        check("process=", "process");
        check("process=a&subject=b", "process");
        check(&"type=a&".repeat(65), "query");
    }

    #[test]
    fn a_process_is_found_under_every_prefix() {
        let filter = Filter::parse("process=caddy&process=default/a.b").expect("a query");
        let query = filter.query(&["core.process".into(), "plant".into()]).expect("patterns");
        let subjects: Vec<&str> = query.subjects.iter().map(Pattern::as_str).collect();
        let expected =
            ["core.process.*.caddy.*", "plant.*.caddy.*", "core.process.default.a=2Eb.*", "plant.default.a=2Eb.*"];
        assert_eq!(subjects, expected);
    }
}
