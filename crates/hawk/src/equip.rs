//! Draft heads of a model: its own, or others that were trained for it.

use hawk_nn::{Arrangement, Error, Heads, ModelSource, Result, Target};

/// What heads are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Images,
    Text,
}

impl Medium {
    fn of(heads: &Heads) -> Self {
        match heads.config().arrangement {
            Arrangement::Grid(_) => Medium::Images,
            Arrangement::Line => Medium::Text,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Medium::Images => "heads of images, with a grid in their config",
            Medium::Text => "heads of text, without a grid in their config",
        }
    }
}

/// The heads in the model's `heads/`; none where there are none, or where they guess the other medium.
pub(crate) fn own_heads(source: &ModelSource, target: &Target, medium: Medium) -> Result<Option<Heads>> {
    if !source.contains("heads/config.json") {
        return Ok(None);
    }
    let heads = Heads::load(source, "heads/", target)?;
    Ok(Some(heads).filter(|heads| Medium::of(heads) == medium))
}

/// The heads of another folder, for the model of this digest.
///
/// # Errors
/// They cannot be read, were trained for another model, or guess the other medium.
pub(crate) fn other_heads(folder: &ModelSource, target: &Target, medium: Medium, digest: &str) -> Result<Heads> {
    let heads = Heads::load(folder, "", target)?;
    let (config, place) = (heads.config(), || folder.describe("config.json"));
    if config.target_digest != digest {
        return Err(Error::input("the heads were trained for another model")
            .at(place())
            .expected(format!("target digest {digest}"))
            .got(&config.target_digest));
    }
    if Medium::of(&heads) != medium {
        let got = format!("heads of {}", config.arrangement);
        return Err(Error::input("the heads guess something else").at(place()).expected(medium.name()).got(got));
    }
    Ok(heads)
}
