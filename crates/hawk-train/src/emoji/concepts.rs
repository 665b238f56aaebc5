//! The concepts of the emoji standard: labels, tags and groups. They are found by code points or by
//! drawing names.

use std::collections::{BTreeMap, HashMap};

use hawk_files::{Error, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::emoji::recipe::Lists;

/// Files of the package of emoji names.
const RECORDS: &str = "en/data.json";
const GROUPS: &str = "en/messages.json";
const SHORT_NAMES: &str = "en/shortcodes/";

/// Whether [`Concepts::parse`] needs this file of the package.
pub(crate) fn is_wanted(name: &str) -> bool {
    name == RECORDS || name == GROUPS || (name.starts_with(SHORT_NAMES) && name.ends_with(".json"))
}

/// What an emoji shows, in one skin tone.
#[derive(Clone, Debug)]
pub(crate) struct Concept {
    /// Position in the standard's order.
    pub(crate) order: usize,
    /// Without the skin tone, with ASCII quotes.
    pub(crate) label: String,
    pub(crate) tags: Vec<String>,
    pub(crate) group: String,
    pub(crate) subgroup: String,
    /// 1 to 5, light to dark.
    pub(crate) tone: Option<u8>,
}

/// All concepts, by normalised code points and by name.
pub(crate) struct Concepts {
    by_key: BTreeMap<String, Concept>,
    by_name: HashMap<String, String>,
}

#[derive(Deserialize)]
struct Record {
    label: String,
    hexcode: String,
    #[serde(default)]
    tags: Vec<String>,
    group: Option<u32>,
    subgroup: Option<u32>,
    tone: Option<Tone>,
    #[serde(default)]
    skins: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Tone {
    One(u8),
    /// The skin tones of a couple. These pictures are not used.
    #[expect(dead_code, reason = "only its presence matters")]
    Two(Vec<u8>),
}

#[derive(Deserialize)]
struct Messages {
    groups: Vec<GroupName>,
    subgroups: Vec<GroupName>,
}

#[derive(Deserialize)]
struct GroupName {
    key: String,
    order: u32,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ShortNames {
    One(String),
    Several(Vec<String>),
}

/// Normalises code points: lower case, no leading zeros, no variation selectors.
pub(crate) fn normal_key(code_points: &str) -> String {
    let lower = code_points.to_lowercase();
    let parts = lower.split(['-', '_']).map(|part| part.trim_start_matches('0')).filter(|part| *part != "fe0f");
    parts.map(|part| if part.is_empty() { "0" } else { part }).collect::<Vec<_>>().join("-")
}

/// Converts a label to a drawing name: `man’s shoe` is `mans-shoe`.
fn slug(label: &str) -> String {
    let mut out = String::new();
    for c in label.to_lowercase().chars() {
        match c {
            '’' | '\'' | '“' | '”' => {}
            '&' => out.push_str("-and-"),
            '#' => out.push_str("-hash-"),
            '*' => out.push_str("-asterisk-"),
            'ñ' => out.push('n'),
            'a'..='z' | '0'..='9' => out.push(c),
            'à'..='å' => out.push('a'),
            'ç' => out.push('c'),
            'è'..='ë' => out.push('e'),
            'ì'..='ï' => out.push('i'),
            'ò'..='ö' => out.push('o'),
            'ù'..='ü' => out.push('u'),
            _ => out.push('-'),
        }
    }
    out.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

fn squashed(name: &str) -> String {
    name.to_lowercase().chars().filter(|c| c.is_ascii_alphanumeric()).collect()
}

impl Concepts {
    /// Reads the package of emoji names. `title` names the package in errors.
    ///
    /// # Errors
    /// A file is missing or has another format.
    pub(crate) fn parse(title: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let messages: Messages = json(title, files, GROUPS)?;
        let key_of = |list: &[GroupName], order: Option<u32>| {
            let named = order.and_then(|order| list.iter().find(|named| named.order == order));
            named.map(|named| named.key.clone()).unwrap_or_default()
        };
        let mut concepts = Self { by_key: BTreeMap::new(), by_name: HashMap::new() };
        for record in json::<Vec<Record>>(title, files, RECORDS)? {
            let concept = Concept {
                order: concepts.by_key.len(),
                label: plain_quotes(&record.label),
                tags: record.tags,
                group: key_of(&messages.groups, record.group),
                subgroup: key_of(&messages.subgroups, record.subgroup),
                tone: None,
            };
            for skin in record.skins {
                let Some(Tone::One(tone)) = skin.tone else { continue };
                let key = normal_key(&skin.hexcode);
                concepts.by_name.entry(squashed(&slug(&skin.label))).or_insert_with(|| key.clone());
                let order = concepts.by_key.len() + 1;
                concepts.by_key.insert(key, Concept { order, tone: Some(tone), ..concept.clone() });
            }
            let key = normal_key(&record.hexcode);
            concepts.by_name.entry(squashed(&slug(&record.label))).or_insert_with(|| key.clone());
            concepts.by_key.insert(key, concept);
        }
        for name in files.keys().filter(|name| name.starts_with(SHORT_NAMES)) {
            for (code_points, names) in json::<BTreeMap<String, ShortNames>>(title, files, name)? {
                let names = match names {
                    ShortNames::One(name) => vec![name],
                    ShortNames::Several(names) => names,
                };
                names.iter().for_each(|name| concepts.add_name(name, &code_points));
            }
        }
        Ok(concepts)
    }

    /// Adds a name of a concept, unless the name is taken.
    pub(crate) fn add_name(&mut self, name: &str, code_points: &str) {
        let key = normal_key(code_points);
        if self.by_key.contains_key(&key) {
            self.by_name.entry(squashed(name)).or_insert(key);
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Concept> {
        self.by_key.get(key)
    }

    /// The key of a drawing by its name.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        let numbered = name.rsplit_once('-').filter(|(_, end)| end.len() == 1 && end.as_bytes()[0].is_ascii_digit());
        let spellings = [
            name.to_owned(),
            numbered.map(|(stem, _)| stem.to_owned()).unwrap_or_default(),
            name.replace("flag-for-", "flag-"),
            format!("flag-{name}"),
        ];
        spellings.iter().find_map(|spelling| self.by_name.get(&squashed(spelling))).map(String::as_str)
    }
}

fn json<T: DeserializeOwned>(title: &str, files: &BTreeMap<String, Vec<u8>>, name: &str) -> Result<T> {
    let place = || format!("{title}: {name}");
    let bytes = files.get(name).ok_or_else(|| Error::input("the package lacks a file").at(place()))?;
    serde_json::from_slice(bytes).map_err(|e| Error::input(format!("invalid file: {e}")).at(place()))
}

pub(crate) fn plain_quotes(label: &str) -> String {
    label.replace(['’', '‘'], "'").replace(['“', '”'], "")
}

impl Concept {
    /// Whether the recipe leaves the concept out.
    pub(crate) fn is_skipped(&self, lists: &Lists) -> bool {
        let skip = &lists.skip;
        skip.groups.contains(&self.group)
            || skip.subgroups.contains(&self.subgroup)
            || skip.label_starts.iter().any(|start| self.label.starts_with(start.as_str()))
    }

    /// The group of concepts that are held out together: a man, a woman and a person of one
    /// profession, or all skin tones.
    pub(crate) fn family(&self, lists: &Lists) -> String {
        const WORDS: [&str; 15] = [
            "man", "woman", "person", "men", "women", "people", "man's", "woman's", "men's", "women's", "older", "old",
            "facing", "right", "and",
        ];
        if let Some(family) = lists.families.get(&self.label) {
            return family.clone();
        }
        if self.group != "people-body" {
            return self.label.clone();
        }
        let words = self.label.split([' ', ':', ',']).filter(|word| !word.is_empty() && !WORDS.contains(word));
        let family = words.collect::<Vec<_>>().join(" ");
        if family.is_empty() { "person".to_owned() } else { family }
    }

    pub(crate) fn is_people(&self) -> bool {
        self.group == "people-body"
    }

    /// Whether the label also describes the mirrored picture.
    pub(crate) fn may_be_mirrored(&self) -> bool {
        ["animals-nature", "food-drink"].contains(&self.group.as_str())
            || ["transport-water", "transport-air"].contains(&self.subgroup.as_str())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::emoji::recipe::Recipe;

    pub(crate) const DATA: &str = r#"[
        {"label":"red apple","hexcode":"1F34E","tags":["apple","fruit","red"],"group":4,"subgroup":1},
        {"label":"dog","hexcode":"1F415","tags":["animal","pet"],"group":3,"subgroup":0},
        {"label":"man’s shoe","hexcode":"1F45E","group":6,"subgroup":3},
        {"label":"keycap: #","hexcode":"0023-FE0F-20E3","group":8,"subgroup":4},
        {"label":"man astronaut","hexcode":"1F468-200D-1F680","group":1,"subgroup":2,"skins":[
            {"label":"man astronaut: dark skin tone","hexcode":"1F468-1F3FF-200D-1F680","tone":5},
            {"label":"men: two tones","hexcode":"1F468-1F3FB-200D-1F3FF","tone":[1,5]}]}]"#;
    pub(crate) const MESSAGES: &str = r#"{"groups":[{"key":"people-body","order":1},{"key":"animals-nature","order":3},
        {"key":"food-drink","order":4},{"key":"objects","order":6},{"key":"symbols","order":8}],
        "subgroups":[{"key":"animal-mammal","order":0},{"key":"food-fruit","order":1},{"key":"person-role","order":2},
        {"key":"clothing","order":3},{"key":"keycap","order":4}]}"#;

    pub(crate) fn concepts() -> Concepts {
        let short = r#"{"1F415":["dog2","doggo"],"1F34E":"apple","FFFF":"unknown"}"#;
        let files = [("en/data.json", DATA), ("en/messages.json", MESSAGES), ("en/shortcodes/x.json", short)];
        let files = files.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())).into();
        Concepts::parse("names@1", &files).unwrap()
    }

    #[test]
    fn code_points_have_one_spelling() {
        assert_eq!(normal_key("0023-FE0F-20E3"), "23-20e3");
        assert_eq!(normal_key("1F34E"), "1f34e");
        assert_eq!(normal_key("1f3f4_e0067"), "1f3f4-e0067");
    }

    #[test]
    fn drawings_are_found_by_names() {
        let concepts = concepts();
        for (name, key) in [
            ("red-apple", Some("1f34e")),
            ("red-apple-2", Some("1f34e")),
            ("apple", Some("1f34e")),
            ("mans-shoe", Some("1f45e")),
            ("doggo", Some("1f415")),
            ("man-astronaut-dark-skin-tone", Some("1f468-1f3ff-200d-1f680")),
            ("unknown", None),
            ("men-two-tones", None),
        ] {
            assert_eq!(concepts.find(name), key, "{name}");
        }
        assert_eq!(concepts.get("1f468-1f3ff-200d-1f680").unwrap().tone, Some(5));
    }

    #[test]
    fn families_join_those_who_differ_by_person() {
        let lists = Recipe::built_in().unwrap().lists;
        let family = |label: &str, group: &str| {
            let concept = Concept {
                order: 0,
                label: label.into(),
                tags: vec![],
                group: group.into(),
                subgroup: String::new(),
                tone: None,
            };
            concept.family(&lists)
        };
        for label in ["man astronaut", "woman astronaut", "astronaut"] {
            assert_eq!(family(label, "people-body"), "astronaut");
        }
        for label in ["person running", "man running: facing right", "woman running"] {
            assert_eq!(family(label, "people-body"), "running");
        }
        assert_eq!(family("man", "people-body"), "person");
        assert_eq!(family("mermaid", "people-body"), family("merman", "people-body"));
        assert_eq!(family("man's shoe", "objects"), "man's shoe");
        assert_eq!(family("dog face", "animals-nature"), "dog");
    }

    #[test]
    fn the_recipe_skips_what_is_no_picture() {
        let (lists, concepts) = (Recipe::built_in().unwrap().lists, concepts());
        assert!(concepts.get("23-20e3").unwrap().is_skipped(&lists));
        assert!(!concepts.get("1f34e").unwrap().is_skipped(&lists));
    }

    #[test]
    fn a_package_without_its_files_is_refused() {
        let error = Concepts::parse("names@1", &BTreeMap::new()).map(drop).unwrap_err().to_string();
        assert!(error.starts_with("names@1: en/messages.json"), "{error}");
    }
}
