//! What is measured of a picture, its classes, and whether a caption names it.

use std::collections::BTreeMap;

/// Something that a rule recognises and that a caption may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Time,
    Terrain,
    Rendering,
    /// Whether the sun or the moon is seen.
    Light,
    Aurora,
    Ground,
    Number,
}

/// Those of landscapes, in the order of their rules.
pub(super) const OF_LANDSCAPES: [Attribute; 5] =
    [Attribute::Time, Attribute::Terrain, Attribute::Rendering, Attribute::Light, Attribute::Aurora];

const TIMES: [&str; 9] = ["dawn", "sunrise", "day", "daylight", "daytime", "sunset", "dusk", "twilight", "night"];
const RENDERINGS: [&str; 4] = ["painting", "painterly", "painted", "paper-cut"];
const PRESENT: [&str; 2] = ["present", "absent"];

impl Attribute {
    /// Its name in figures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Terrain => "terrain",
            Self::Rendering => "rendering",
            Self::Light => "sun_or_moon",
            Self::Aurora => "aurora",
            Self::Ground => "ground",
            Self::Number => "number",
        }
    }

    /// The class of a picture with these attributes.
    pub(super) fn class(self, attributes: &BTreeMap<String, String>) -> &str {
        let word = |name: &str| attributes.get(name).map_or("", String::as_str);
        let present = |is: bool| PRESENT[usize::from(!is)];
        match self {
            Self::Time => word("time"),
            Self::Terrain => word("terrain"),
            Self::Rendering => word("rendering"),
            Self::Light => present(attributes.contains_key("luminary")),
            Self::Aurora => present(word("phenomenon") == "aurora"),
            Self::Ground => word("ground"),
            Self::Number => word("number"),
        }
    }

    /// Whether a caption names it. Every caption of a landscape names its terrain, and every one of
    /// several things their number.
    pub(super) fn is_named_by(self, caption: &str) -> bool {
        let names = |words: &[&str]| caption.split([' ', ',']).any(|word| words.contains(&word));
        match self {
            Self::Time => names(&TIMES),
            Self::Terrain | Self::Number => true,
            Self::Rendering => names(&RENDERINGS),
            Self::Light => names(&["sun", "moon"]),
            Self::Aurora => names(&["aurora"]) || caption.contains("northern lights"),
            Self::Ground => names(&["background", "gradient"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use hawk_pictures::landscape::Scene;
    use hawk_pictures::mixture::landscape;
    use hawk_pictures::random::Random;

    use super::*;

    #[test]
    fn captions_name_what_their_words_say() {
        let named = |caption: &str| -> Vec<&str> {
            OF_LANDSCAPES.into_iter().filter(|of| of.is_named_by(caption)).map(Attribute::name).collect()
        };
        assert_eq!(named("a canyon"), ["terrain"]);
        assert_eq!(
            named("a paper-cut of a lake at sunset with the sun on the left"),
            ["time", "terrain", "rendering", "sun_or_moon"]
        );
        assert_eq!(named("hills, night, northern lights, painting"), ["time", "terrain", "rendering", "aurora"]);
        assert!(Attribute::Ground.is_named_by("a fox on a red background, noto style"));
    }

    /// A caption names only what is there, and every class is named by some caption.
    #[test]
    fn words_agree_with_the_painter() {
        let mut found: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for index in 0..60 {
            let rare = |scene: &Scene| index % 3 > 0 || scene.phenomenon.is_some_and(|found| found.word() == "aurora");
            let sample = landscape(&mut Random::new(3, index), &rare).unwrap();
            for of in OF_LANDSCAPES {
                let class = of.class(&sample.attributes);
                assert!(!class.is_empty(), "{of:?}");
                let named = sample.captions.iter().filter(|caption| of.is_named_by(caption)).count();
                *found.entry((of.name(), class.to_owned())).or_default() += named;
            }
        }
        assert_eq!((found[&("sun_or_moon", "absent".to_owned())], found[&("aurora", "absent".to_owned())]), (0, 0));
        let of = |name: &str| found.iter().filter(|((of, _), named)| *of == name && **named > 0).count();
        assert_eq!((of("time"), of("terrain"), of("rendering"), of("sun_or_moon"), of("aurora")), (5, 12, 2, 1, 1));
    }
}
