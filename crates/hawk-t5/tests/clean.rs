//! Captions come out as from the reference's cleaner (LlamaGen 5a50452, beautifulsoup4 4.15.0, ftfy
//! 6.3.1), which made the right column.
#![allow(clippy::unwrap_used)]

use hawk_t5::Cleaner;

/// Captions and what the reference makes of them.
const CASES: &[(&str, &str)] = &[
    ("A Red House!", "a red house!"),
    ("  two   Dogs\n\nrunning ", "two dogs running"),
    ("see https://www.example.com/a-b/c?x=1 for MORE", "see ?x=1 for more"),
    ("www.shop.co.uk/deals a lamp", ".uk deals a lamp"),
    ("mail me@host.com please", "mail me please"),
    ("cat @user_1 #12 #1234 #123456 9876543", "cat 1234"),
    ("<b>bold</b> &amp; <i class=\"a>b\">cursive</i>", "bold cursive"),
    ("a < b and b > a", "a < b and b > a"),
    ("5 &lt; 6 &copy; 2020 &foo; &#233;t&eacute;", "5 < 6 2020 foo été"),
    ("red%20house+by%2Bsea", "red house by sea"),
    ("this-is-my-cute-cat", "this is my cute cat"),
    ("well-known man", "well-known man"),
    ("\u{2018}single\u{2019} \u{201c}double\u{201d} «guillemets»", "single' \"double\" \"guillemets"),
    ("em—dash – en", "em-dash - en"),
    ("红色 house 房子", "house"),
    ("IMG_1234.jpg photo", "photo"),
    ("192.168.0.1 server", "server"),
    ("\"\"\"SALE\"\"\" *** free shipping worldwide ***", "\"sale\" worldwide"),
    ("free download of a png image, page 12", "of a"),
    ("click for more wallpapers 1920x1080", "wallpapers"),
    ("jc6640 jc6640vc 6640vc231 j2d1a2a", ""),
    ("title : subtitle ,word.next", "title: subtitle , word. next"),
    ("\"quoted all over\"", "quoted all over"),
    ("-dash first", "dash first"),
    ("ends with+", "ends with"),
    (".hidden", ""),
    ("wait... what . now", "wait what now"),
    ("news at 3:45 ", "news at 3:45"),
    ("a \\n b", "a b"),
    ("<person> riding a horse", "person riding a horse"),
    ("\u{fb01}sh \u{ff21}\u{ff22} wide\u{3000}space", "fish ab wide space"),
    ("cafe\u{301}", "café"),
    ("<script>alert(1)</script>text<!-- no -->", "text"),
    ("a photo of 3D render, 8k", "a photo of 3d render, 8k"),
    ("", ""),
    ("   ", ""),
    ("#ffffff paint", "ffffff paint"),
    ("AT&T tower / (old) [new] {x}", "at t tower old new x"),
    ("100%25 cotton", "100% cotton"),
    ("'tis", "tis"),
    ("it's 10:30", "it's 10:30"),
    ("½ cup", "cup"),
    ("naïve façade, Zürich", "naïve façade, zürich"),
    ("emoji 😀 face", "emoji 😀 face"),
    ("a;b;c", "a;b;c"),
    ("http://", ""),
    ("foo.com@bar foo.com/ab@x", "foo. com ab"),
];

#[test]
fn captions_come_out_as_from_the_reference() {
    let cleaner = Cleaner::new().unwrap();
    for (caption, clean) in CASES {
        assert_eq!(cleaner.clean(caption).unwrap(), *clean, "{caption:?}");
    }
}

#[test]
fn what_no_caption_is_neither_panics_nor_hangs() {
    let cleaner = Cleaner::new().unwrap();
    assert!(cleaner.clean(&"a".repeat(100_000)).unwrap_err().to_string().contains("too long"));
    for knot in ["a.", "<a '", "<!--", "\"", "-_", "1x", "free ", "&#x", "%f0%9f", "http:/", "\u{0}", "İΣ"] {
        let caption = knot.repeat(4000 / knot.len());
        match cleaner.clean(&caption) {
            Ok(clean) => assert!(clean.len() <= 3 * caption.len(), "{knot:?}"),
            Err(error) => assert!(error.to_string().contains("cannot be cleaned"), "{knot:?}: {error}"),
        }
    }
    // Entities beyond the range of characters.
    for entity in ["&#xffffffffffff;", "&#0;", "&#xd800;", "&;", "&#;"] {
        cleaner.clean(entity).unwrap();
    }
}
