//! Writes a drafter of its own, and shows that the image stays the one of plain decoding. The drafter remembers which
//! code came after each code, and proposes that it will come again.
//! Run it with `cargo run --release -p hawk --example own_drafter`.

use std::ops::ControlFlow;

use hawk::{
    Code, Decoder, Decoding, DefaultTree, DraftLaw, Drafter, DrafterKind, Engine, Generated, Heads, ImageIndex,
    LoadOptions, Media, Needs, NodeId, Request, Result, Rule, Seed, Seen, Source, TokenTree, TreeError, View,
    built_in_model,
};

/// What the engine and users know of the drafter before one is made.
const FOLLOWER: Decoder = Decoder::custom(&DrafterKind {
    name: "follower",
    help: "the code that came after the last code when that was last seen",
    tree: DefaultTree::Nodes(4), // the anchor and three candidates
    heads: Heads::Unused,
    media: Media::Any, // it looks at no rows or columns, so it drafts text too
    // A drafter for images takes its grid from `setup.arrangement`; `src/drafter/copies.rs` shows it.
    make: |setup| Ok(Box::new(Follower(vec![None; setup.codes]))),
});

/// One drafter belongs to one image at a time. By code: the code that came after it.
struct Follower(Vec<Option<Code>>);

impl Drafter for Follower {
    /// No stored draft laws, no rows of draft heads, no best codes: the default.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// A new image must not depend on the image before.
    fn start(&mut self, _: Seed, _: ImageIndex) {
        self.0.fill(None);
    }

    /// The tree has only its root, the anchor: the last committed cell. This drafter adds a chain below it.
    fn propose(&mut self, view: &View<'_>, tree: &mut TokenTree) -> std::result::Result<(), TreeError> {
        let (mut node, mut code) = (NodeId::ROOT, view.codes.last().copied());
        while let Some(next) = code.and_then(|code| self.0[code.index()]) {
            // `?` ends the chain where the tree is full or the grid ends; the loop expects these two errors.
            // Deterministic: no random number chose the candidate, so that it is exact under `rejection` too.
            // The source is a label for statistics and records: 1 to 8 letters and digits.
            node = tree.propose(node, next, DraftLaw::Deterministic, Source::new("follow"))?;
            code = Some(next);
        }
        Ok(())
    }

    /// The pass is verified: learn what follows what. `seen` also has the tree, the verdict and the target's laws.
    fn observe(&mut self, seen: &mut Seen<'_>) -> Result<()> {
        let start = seen.first().index().saturating_sub(1); // the cell before the first new one
        for pair in seen.codes[start..].windows(2) {
            self.0[pair[0].index()] = Some(pair[1]);
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let engine = Engine::load(built_in_model(), LoadOptions::default())?;
    let draw = |decoder| -> Result<Generated> {
        let request = Request {
            prompt: "a red apple, fluent 3d style".to_owned(),
            seed: Seed(7),
            images: 0..1,
            sampling: engine.config().defaults,
            decoding: Decoding::with_defaults(decoder, Rule::Replay),
            batch: 1,
        };
        Ok(engine.generate(&request, &mut |_| ControlFlow::Continue(()))?.images.remove(0))
    };
    let (plain, drafted) = (draw(Decoder::AR)?, draw(FOLLOWER)?);
    // Equality cannot see a drafter that is never right: look at the tokens per pass as well.
    assert_eq!(plain.codes, drafted.codes);
    println!("the same {} cells; tokens per pass: {:.2}", plain.codes.len(), drafted.stats.acceptance_length());
    assert!(drafted.stats.accepted > 0, "no draft was accepted");
    Ok(())
}
