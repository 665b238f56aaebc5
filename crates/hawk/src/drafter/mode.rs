//! How candidates are made of a law.

use hawk_spec::{Purpose, Rule};

use crate::request::rule::{AnyRule, LossyRule};

/// How candidates are made of a law, as the rule needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftMode {
    /// `replay` reads no draft law: the best codes of law plus the noise that the target's own draw
    /// will have.
    SharedNoise(Purpose),
    /// The likeliest codes; greedy decoding and typical acceptance read no draft law either.
    Likeliest,
    /// `rejection` and LANTERN need the law that a code was drawn from: draws without replacement,
    /// from a random stream of their own.
    Draws,
}

impl DraftMode {
    /// The mode under a rule; `noise` is the purpose of the target's own draws.
    pub(crate) fn of(rule: AnyRule, noise: Purpose) -> Self {
        match rule {
            AnyRule::Exact(Rule::Replay) => DraftMode::SharedNoise(noise),
            AnyRule::Exact(Rule::Rejection) | AnyRule::Lossy(LossyRule::Lantern) => DraftMode::Draws,
            AnyRule::Lossy(LossyRule::Typical) => DraftMode::Likeliest,
        }
    }
}
