//! The way from a draft law to candidates.

use hawk_spec::{Purpose, Rule};

use crate::request::rule::{AnyRule, LossyRule};

/// The way from a draft law to candidates, as the rule needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DraftMode {
    /// The codes with the highest score plus noise. The noise is that of the target's own draw. For
    /// `replay`, which reads no draft law.
    SharedNoise(Purpose),
    /// The likeliest codes, for greedy decoding and typical acceptance, which read no draft law
    /// either.
    Likeliest,
    /// Draws without replacement from a random stream of their own, for `rejection` and LANTERN,
    /// which read the draft law.
    Draws,
}

impl DraftMode {
    /// The mode of a rule. `noise` is the purpose of the target's own draws.
    pub(crate) fn of(rule: AnyRule, noise: Purpose) -> Self {
        match rule {
            AnyRule::Exact(Rule::Replay) => DraftMode::SharedNoise(noise),
            AnyRule::Exact(Rule::Rejection) | AnyRule::Lossy(LossyRule::Lantern) => DraftMode::Draws,
            AnyRule::Lossy(LossyRule::Typical) => DraftMode::Likeliest,
        }
    }
}
