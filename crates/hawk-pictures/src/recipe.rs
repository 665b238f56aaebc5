//! The recipe of the emoji pictures, as text: `recipes/emoji/README.md` says what the files hold.

/// `recipe.json`: which emoji are left out, grounds, and the things that scenes are composed of.
pub const EMOJI: &str = include_str!("../recipes/emoji/recipe.json");
/// `lock.json`: the packages of the npm registry that hold the emoji, pinned to their bytes.
pub const EMOJI_PACKAGES: &str = include_str!("../recipes/emoji/lock.json");
