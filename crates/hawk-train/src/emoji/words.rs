//! Captions: phrases, articles and plurals.

use std::collections::BTreeMap;

use crate::emoji::concepts::Concept;
use crate::emoji::split;

/// Colours that captions name.
const COLOURS: [&str; 13] = [
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "beige", "black", "white", "grey", "golden",
];
const TONES: [&str; 5] = ["light", "medium-light", "medium", "medium-dark", "dark"];
/// Number of tags in a caption of tags.
const TAGS: usize = 3;
/// Words after the noun that gets the plural: `glass of milk`, `face with tears`.
const AFTER_NOUN: [&str; 9] = ["of", "with", "without", "on", "in", "behind", "showing", "and", "at"];

/// The phrase for a concept: `flag: Japan` becomes `flag of Japan`.
pub(crate) fn phrase(concept: &Concept) -> String {
    let said = said(&concept.label, &concept.subgroup);
    match concept.tone.and_then(|tone| TONES.get(usize::from(tone).wrapping_sub(1))) {
        Some(tone) if said.contains(" with ") => format!("{said} and {tone} skin"),
        Some(tone) => format!("{said} with {tone} skin"),
        None => said,
    }
}

fn said(label: &str, subgroup: &str) -> String {
    if let Some(hour) = label.strip_suffix(" o'clock") {
        return format!("clock showing {hour} o'clock");
    }
    if subgroup == "time" && label.ends_with("-thirty") {
        return format!("clock showing {label}");
    }
    match label.split_once(": ") {
        Some(("flag", land)) => format!("flag of {land}"),
        Some((who, "bald")) => format!("bald {who}"),
        Some((who, "beard")) => format!("{who} with a beard"),
        Some((who, "facing right")) => format!("{who} facing right"),
        Some((who, hair)) if hair.ends_with(" hair") => format!("{who} with {hair}"),
        Some((what, who)) => format!("{what} of {}", who.replace(", ", " and ")),
        None => match label {
            "american football" => "American football".to_owned(),
            "hourglass done" => "hourglass".to_owned(),
            "hourglass not done" => "hourglass with falling sand".to_owned(),
            _ => label.to_owned(),
        },
    }
}

/// The captions of a picture, the most detailed first. `one_thing` adds a caption with an article.
pub(crate) fn captions(concept: &Concept, style: &str, colour: Option<&str>, one_thing: bool) -> Vec<String> {
    let phrase = phrase(concept);
    let mut captions = vec![format!("{phrase}, {style} style")];
    if one_thing {
        captions.push(format!("{}, {style} style", one(&phrase)));
    }
    if let Some(colour) = colour.filter(|_| may_name_colour(concept)) {
        captions.push(format!("{phrase}, mostly {colour}, {style} style"));
    }
    let tags = some_tags(concept);
    if tags.len() > 1 && concept.tone.is_none() {
        captions.push(format!("{}, {style} style", tags.join(", ")));
    }
    captions.push(phrase);
    captions
}

/// Whether a caption may add the main colour: the label names no colour. The main colour of people
/// is their skin, which the phrase already names.
pub(crate) fn may_name_colour(concept: &Concept) -> bool {
    let names_colour = phrase(concept).split([' ', '-']).any(|word| COLOURS.contains(&word));
    !names_colour && !concept.is_people() && concept.subgroup != "country-flag"
}

/// Up to `TAGS` tags, drawn by their hash: in the order of the alphabet the first ones would be the same words again and again.
fn some_tags(concept: &Concept) -> Vec<&str> {
    let mut tags: Vec<&str> = concept.tags.iter().map(String::as_str).filter(|tag| is_word(tag)).collect();
    tags.sort_by_key(|tag| split::number(&format!("tag {} {tag}", concept.label)));
    tags.truncate(TAGS);
    tags
}

/// Whether a tag is a word; `143` and `g2g` are not.
fn is_word(tag: &str) -> bool {
    tag.len() > 2 && tag.chars().all(|c| c.is_alphabetic() || " -'".contains(c))
}

/// Adds the indefinite article.
pub(crate) fn one(thing: &str) -> String {
    let vowel = thing.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U'])
        && !["uni", "one", "eu", "use"].iter().any(|start| thing.starts_with(start));
    let silent = thing.starts_with("hour");
    format!("{} {thing}", if vowel || silent { "an" } else { "a" })
}

/// The plural: `red apple` becomes `red apples`, `glass of milk` becomes `glasses of milk`.
pub(crate) fn several(thing: &str, irregular: &BTreeMap<String, String>) -> String {
    let mut words: Vec<String> = thing.split(' ').map(str::to_owned).collect();
    let after_noun = words.iter().skip(1).position(|word| AFTER_NOUN.contains(&word.as_str()));
    let head = after_noun.unwrap_or(words.len() - 1);
    words[head] = plural(&words[head], irregular);
    words.join(" ")
}

fn plural(word: &str, irregular: &BTreeMap<String, String>) -> String {
    if let Some(known) = irregular.get(word) {
        return known.clone();
    }
    let before_last = word.chars().rev().nth(1);
    if ["s", "x", "z", "ch", "sh"].iter().any(|end| word.ends_with(end)) {
        format!("{word}es")
    } else if word.ends_with('y') && !before_last.is_some_and(|c| "aeiou".contains(c)) {
        format!("{}ies", &word[..word.len() - 1])
    } else {
        format!("{word}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emoji::recipe::Recipe;

    fn concept(label: &str, subgroup: &str, tone: Option<u8>) -> Concept {
        Concept {
            order: 0,
            label: label.into(),
            tags: ["ab", "g2g", "fruit", "round", "sweet", "more"].map(str::to_owned).to_vec(),
            group: String::new(),
            subgroup: subgroup.into(),
            tone,
        }
    }

    #[test]
    fn labels_are_said_as_people_say_them() {
        for (label, subgroup, tone, said) in [
            ("flag: Japan", "country-flag", None, "flag of Japan"),
            ("three o'clock", "time", None, "clock showing three o'clock"),
            ("ten-thirty", "time", None, "clock showing ten-thirty"),
            ("waving hand", "hand", Some(3), "waving hand with medium skin"),
            ("man: red hair", "person", Some(1), "man with red hair and light skin"),
            ("woman: bald", "person", None, "bald woman"),
            ("person walking: facing right", "person", None, "person walking facing right"),
            ("kiss: woman, man", "family", None, "kiss of woman and man"),
            ("red apple", "food", None, "red apple"),
        ] {
            assert_eq!(phrase(&concept(label, subgroup, tone)), said);
        }
    }

    #[test]
    fn a_picture_has_captions_from_full_to_short() {
        let plain = captions(&concept("orchid", "flower", None), "noto", Some("purple"), false);
        let expected = ["orchid, noto style", "orchid, mostly purple, noto style", &plain[2], "orchid"];
        assert_eq!(plain, expected);
        let tags: Vec<&str> = plain[2].split(", ").collect();
        assert_eq!((tags.len(), tags[3]), (4, "noto style"));
        assert!(tags[..3].iter().all(|tag| ["fruit", "round", "sweet", "more"].contains(tag)), "{tags:?}");
        let red = captions(&concept("red apple", "food", None), "noto", Some("red"), true);
        assert_eq!(red[..2], ["red apple, noto style", "a red apple, noto style"]);
        assert!(red.iter().all(|caption| !caption.contains("mostly")), "{red:?}");
    }

    #[test]
    fn articles_follow_the_sound() {
        for (thing, with) in [
            ("banana", "a banana"),
            ("eggplant", "an eggplant"),
            ("unicorn", "a unicorn"),
            ("hourglass", "an hourglass"),
            ("umbrella", "an umbrella"),
            ("T-Rex", "a T-Rex"),
        ] {
            assert_eq!(one(thing), with);
        }
    }

    #[test]
    fn plurals_are_right() {
        let irregular = Recipe::built_in().unwrap().lists.irregular_plurals;
        for (thing, plural) in [
            ("red apple", "red apples"),
            ("cherry", "cherries"),
            ("cat with wry smile", "cats with wry smile"),
            ("glass of milk", "glasses of milk"),
            ("mouse", "mice"),
            ("fox", "foxes"),
            ("tropical fish", "tropical fish"),
            ("peach", "peaches"),
            ("monkey", "monkeys"),
            ("butterfly", "butterflies"),
            ("lady beetle", "lady beetles"),
            ("four leaf clover", "four leaf clovers"),
            ("maple leaf", "maple leaves"),
            ("toothbrush", "toothbrushes"),
            ("volcano", "volcanoes"),
            ("game die", "game dice"),
            ("snowman", "snowmen"),
        ] {
            assert_eq!(several(thing, &irregular), plural);
        }
    }
}
