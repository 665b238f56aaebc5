//! The built-in decoders, by name.

use std::str;

use hawk_nn::{Error, Result};

use crate::request::decoder::Decoder;

/// The built-in decoders, in the order of `--help`. A new drafter adds its own here.
static DECODERS: &[Decoder] = &[
    Decoder::AR,
    Decoder::NEIGHBOUR,
    Decoder::SJD,
    Decoder::SCD,
    Decoder::SOAR,
    Decoder::MEDUSA,
    Decoder::HAWK_VERTICAL,
    Decoder::HAWK_PAPER,
    Decoder::HAWK,
];

impl Decoder {
    /// All built-in decoders, plain decoding first.
    pub fn all() -> impl Iterator<Item = Decoder> {
        DECODERS.iter().copied()
    }

    /// The decoders that are this one with a part off or changed, to measure what the parts bring.
    #[must_use]
    pub fn variants(self) -> &'static [Decoder] {
        if self == Self::SCD {
            &Self::SCD_STARTS
        } else if self == Self::SOAR {
            &Self::SOAR_PARTS
        } else {
            &[]
        }
    }
}

impl str::FromStr for Decoder {
    type Err = Error;

    /// A built-in decoder by its name.
    fn from_str(name: &str) -> Result<Self> {
        Self::all().find(|decoder| decoder.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::name).collect();
            Error::input("unknown decoder").expected(names.join(" or ")).got(format!("{name:?}"))
        })
    }
}
