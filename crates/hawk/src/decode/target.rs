//! A loaded model as the decoding loop needs it.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use hawk_nn::{
    Arrangement, Backend, Checkpoint, Error, HeadsConfig, ModelSource, PassPlan, PixelDecoder, Result, Shaping,
    SpatialConfig, SpatialHeads, hex,
};
use hawk_spec::{Neighbours, Pipeline, Sampling, Verifier};
use sha2::{Digest, Sha256};

use super::medium::Medium;
use super::tree_size::store::Tuners;
use crate::drafter::contract::{Drafter, Heads, Media, Setup};
use crate::drafter::mode::DraftMode;
use crate::request::decoder::Decoder;
use crate::request::decoding::Decoding;
use crate::request::rule::{AnyRule, LossyRule};

/// Number of neighbours and lambda of LANTERN++, as in its paper's main results.
const LANTERN_NEIGHBOURS: usize = 10;
const LANTERN_LAMBDA: f64 = 2.0;

/// A target that can be decoded.
pub(crate) struct Target {
    pub(crate) backend: Box<dyn Backend>,
    /// The draft heads that the backend has loaded.
    pub(crate) heads: Option<HeadsConfig>,
    /// The model or folder of the draft heads, and their folder in it.
    pub(crate) heads_place: Option<(ModelSource, &'static str)>,
    /// The spatial heads that were loaded.
    pub(crate) spatial: Option<Arc<SpatialHeads>>,
    pub(crate) medium: Box<dyn Medium>,
    /// From codes to pixels; text has none.
    pub(crate) pixels: Option<Box<dyn PixelDecoder>>,
    /// Vocabulary ids of the codes.
    pub(crate) ids: Range<usize>,
    /// Codes with probability 0 in every law.
    pub(crate) dropped: Range<usize>,
    /// The family's order of guidance and warping.
    pub(crate) pipeline: Pipeline,
    pub(crate) neighbours: OnceLock<Arc<Neighbours>>,
    /// The autotuners of tree sizes, kept from request to request.
    pub(crate) tuners: Tuners,
}

/// A target that no batch holds, so that it may change.
///
/// # Errors
/// A batch is open.
pub(crate) fn idle(target: &mut Arc<Target>) -> Result<&mut Target> {
    Arc::get_mut(target).ok_or_else(|| Error::input("the model cannot change while a batch is open"))
}

impl Target {
    /// V, number of codes.
    pub(crate) fn codes(&self) -> usize {
        self.ids.len()
    }

    /// A plan of passes that read the laws of the codes.
    pub(crate) fn plan(&self, rows: usize, readouts: usize, tokens: usize) -> PassPlan {
        PassPlan {
            streams: 1,
            ids: self.ids.clone(),
            dropped: self.dropped.clone(),
            pipeline: self.pipeline,
            rows,
            stream_rows: rows,
            readouts,
            tokens,
            head_rows: 0,
        }
    }

    /// A drafter for one slot.
    ///
    /// # Errors
    /// The decoder needs draft heads and the model has none, or it cannot draft this medium.
    pub(crate) fn drafter(&self, decoding: Decoding, shaping: Shaping) -> Result<Box<dyn Drafter>> {
        let kind = decoding.decoder().kind();
        if kind.media == Media::Images && self.medium.arrangement() == Arrangement::Line {
            let names: Vec<&str> =
                Decoder::all().filter(|decoder| decoder.kind().media == Media::Any).map(Decoder::name).collect();
            return Err(Error::input("text has no rows, which this decoder needs")
                .at("decoder")
                .expected(names.join(" or "))
                .got(kind.name));
        }
        let out_of_range = |e: hawk_spec::SamplingError| Error::input(e.to_string());
        let (mode, sampling) = match shaping {
            Shaping::Logits => (DraftMode::Likeliest, Sampling::new(1.0, 1.0, 0, 1.0).map_err(out_of_range)?),
            Shaping::Sampling(s) => (
                DraftMode::of(decoding.rule(), self.medium.purpose()),
                Sampling::new(1.0, s.temperature(), s.top_k(), s.top_p()).map_err(out_of_range)?,
            ),
        };
        (kind.make)(&Setup {
            arrangement: self.medium.arrangement(),
            codes: self.codes(),
            heads: self.heads.as_ref(),
            spatial: self.spatial.as_ref().filter(|heads| self.fits_images(heads.config())),
            decoder: kind.name,
            shape: decoding.shape(),
            mode,
            sampling,
            pipeline: self.pipeline,
        })
    }

    /// The verifier of a rule.
    ///
    /// # Errors
    /// The rule is LANTERN, and the model has no codebook.
    pub(crate) fn verifier(&self, rule: AnyRule) -> Result<Verifier> {
        let codes = self.codes();
        Ok(match rule {
            AnyRule::Exact(rule) => Verifier::new(rule, codes),
            AnyRule::Lossy(LossyRule::Typical) => Verifier::lossy(hawk_spec::LossyRule::TYPICAL, codes),
            AnyRule::Lossy(LossyRule::Lantern) => {
                let pixels = self.pixels.as_ref().ok_or_else(|| {
                    Error::input("LANTERN needs a codebook").at("rule").expected("replay or rejection").got(rule)
                })?;
                let neighbours = self.neighbours.get_or_init(|| {
                    let width = pixels.config().embed_dim;
                    Arc::new(Neighbours::of_codebook(&pixels.codebook()[..codes * width], width, LANTERN_NEIGHBOURS))
                });
                let neighbours = Arc::clone(neighbours);
                Verifier::lossy(hawk_spec::LossyRule::Lantern { lambda: LANTERN_LAMBDA, neighbours }, codes)
            }
        })
    }

    /// SHA-256 over everything that the configuration of a decoder's heads says, the figures of their training
    /// included; empty where it uses none.
    pub(crate) fn heads_of(&self, decoder: Decoder) -> String {
        let said = match decoder.kind().heads {
            Heads::Unused => None,
            Heads::Required => self.heads.as_ref().map(|heads| format!("{heads:?}")),
            Heads::Spatial => self.spatial.as_ref().map(|heads| format!("{heads:?}")),
        };
        said.map(|said| hex(&Sha256::digest(said))).unwrap_or_default()
    }

    /// Loads the heads in the model's `heads/` and `spatial/`, where they exist and were trained for this medium.
    pub(crate) fn load_own_heads(&mut self, source: &ModelSource) -> Result<()> {
        if source.contains("heads/config.json") {
            let config = HeadsConfig::read(source, "heads/", self.backend.config())?;
            if self.fits(&config) {
                self.load_heads(source, "heads/", config)?;
            }
        }
        if source.contains("spatial/config.json") {
            let heads = SpatialHeads::load(source, "spatial/", self.backend.config())?;
            self.spatial = Some(heads).filter(|heads| self.fits_images(heads.config())).map(Arc::new);
        }
        Ok(())
    }

    /// Loads the heads of another folder, for the model of this digest: draft heads or spatial heads, as its
    /// `config.json` says.
    ///
    /// # Errors
    /// They cannot be read, or were trained for another model or medium.
    pub(crate) fn load_other_heads(&mut self, folder: &ModelSource, digest: &str) -> Result<()> {
        if SpatialConfig::is_in(folder, "")? {
            return self.load_spatial(folder, digest);
        }
        let config = HeadsConfig::read(folder, "", self.backend.config())?;
        of_target(folder, &config.target_digest, digest)?;
        if !self.fits(&config) {
            let expected = match self.medium.arrangement() {
                Arrangement::Grid(_) => "heads of images, with a grid in their config",
                Arrangement::Line => "heads of text, without a grid in their config",
            };
            return Err(other_medium(folder, expected, format!("heads of {}", config.arrangement)));
        }
        self.load_heads(folder, "", config)
    }

    fn load_spatial(&mut self, folder: &ModelSource, digest: &str) -> Result<()> {
        let heads = SpatialHeads::load(folder, "", self.backend.config())?;
        of_target(folder, &heads.config().target_digest, digest)?;
        if !self.fits_images(heads.config()) {
            let SpatialConfig { grid, codes, .. } = heads.config();
            let expected = format!("heads of {}, {} codes", self.medium.arrangement(), self.codes());
            let got = format!("heads of {}, {codes} codes", Arrangement::from(*grid));
            return Err(other_medium(folder, &expected, got));
        }
        self.spatial = Some(Arc::new(heads));
        // They measured other heads.
        self.tuners = Tuners::default();
        Ok(())
    }

    fn load_heads(&mut self, source: &ModelSource, folder: &'static str, config: HeadsConfig) -> Result<()> {
        self.backend.load_heads(&config, &Checkpoint::open(source, folder)?)?;
        self.heads = Some(config);
        self.heads_place = Some((source.clone(), folder));
        // They measured other heads.
        self.tuners = Tuners::default();
        Ok(())
    }

    fn fits(&self, config: &HeadsConfig) -> bool {
        let is_line = |arrangement| matches!(arrangement, Arrangement::Line);
        is_line(config.arrangement) == is_line(self.medium.arrangement())
    }

    /// Whether spatial heads guess cells of the images that the model draws now.
    fn fits_images(&self, config: &SpatialConfig) -> bool {
        self.medium.arrangement() == Arrangement::Grid(config.grid) && config.codes == self.codes()
    }
}

/// Refuses heads that were trained for another model.
fn of_target(folder: &ModelSource, trained_for: &str, digest: &str) -> Result<()> {
    if trained_for == digest {
        return Ok(());
    }
    Err(Error::input("the heads were trained for another model")
        .at(folder.describe("config.json"))
        .expected(format!("target digest {digest}"))
        .got(trained_for))
}

fn other_medium(folder: &ModelSource, expected: &str, got: String) -> Error {
    let error = Error::input("the heads were trained for another medium").at(folder.describe("config.json"));
    error.expected(expected).got(got)
}
