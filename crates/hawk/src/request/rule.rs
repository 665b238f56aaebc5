//! The rules that test drafts: two exact ones, and two lossy ones for comparison.

use std::{fmt, str};

use hawk_nn::{Error, Result};
use hawk_spec::Rule;

/// Rules that change the law of the images, for comparison only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LossyRule {
    /// Typical acceptance, with Medusa's thresholds.
    Typical,
    /// LANTERN++, with the 10 nearest codes and lambda 2.
    Lantern,
}

/// A rule that tests drafts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AnyRule {
    /// A rule that keeps the target's law.
    Exact(Rule),
    /// A rule that changes the law.
    Lossy(LossyRule),
}

impl AnyRule {
    /// All rules, exact ones first.
    pub const ALL: [AnyRule; 4] = [
        AnyRule::Exact(Rule::Replay),
        AnyRule::Exact(Rule::Rejection),
        AnyRule::Lossy(LossyRule::Typical),
        AnyRule::Lossy(LossyRule::Lantern),
    ];

    /// Name in code, files and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            AnyRule::Exact(Rule::Replay) => "replay",
            AnyRule::Exact(Rule::Rejection) => "rejection",
            AnyRule::Lossy(LossyRule::Typical) => "typical",
            AnyRule::Lossy(LossyRule::Lantern) => "lantern",
        }
    }

    /// The warning beside the name; empty for exact rules.
    #[must_use]
    pub fn warning(self) -> &'static str {
        match self {
            AnyRule::Exact(_) => "",
            AnyRule::Lossy(_) => "changes the law",
        }
    }
}

impl From<Rule> for AnyRule {
    fn from(rule: Rule) -> Self {
        AnyRule::Exact(rule)
    }
}

impl fmt::Display for AnyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl str::FromStr for AnyRule {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(" or ");
            Error::input("unknown rule").expected(names).got(format!("{name:?}"))
        })
    }
}
