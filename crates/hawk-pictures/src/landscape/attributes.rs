//! What a caption can name.

/// An enum whose values have one word each, for records.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $value:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$inner])* $value,)+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The word for it in records.
            pub fn word(self) -> &'static str {
                match self { $(Self::$value => $word,)+ }
            }
        }
    };
}

words! {
    /// The shape of the land.
    Terrain {
        /// Rugged ranges above foothills and a meadow.
        Mountains = "mountains",
        /// Rounded hills of grass.
        Hills = "hills",
        /// A desert of sand dunes.
        Dunes = "dunes",
        /// Open water up to the horizon.
        Sea = "sea",
        /// Sand in front, sea behind.
        Beach = "beach",
        /// A lake that reflects the land behind it.
        Lake = "lake",
        /// Rows of pines around a clearing.
        PineForest = "pine forest",
        /// Rows of leafy trees around a clearing.
        LeafyForest = "leafy forest",
        /// A plain under snow.
        SnowField = "snow field",
        /// Red cliffs and buttes of layered rock.
        Canyon = "canyon",
        /// Islands in the sea.
        Islands = "islands",
        /// The skyline of a city.
        City = "city",
    }
}

words! {
    /// The time of day, which the colours of sky and land show.
    Time {
        /// Pastel pink and pale blue.
        Dawn = "dawn",
        /// Blue sky.
        Day = "day",
        /// Orange and red.
        Sunset = "sunset",
        /// Violet, before night.
        Dusk = "dusk",
        /// Dark blue.
        Night = "night",
    }
}

words! {
    /// The weather.
    Weather {
        /// No cloud.
        Clear = "clear",
        /// Single clouds.
        Cloudy = "cloudy",
        /// Grey clouds all over.
        Overcast = "overcast",
        /// Fog over the land.
        Fog = "fog",
        /// Falling rain.
        Rain = "rain",
        /// Falling snow.
        Snow = "snow",
    }
}

words! {
    /// A light in the sky besides sun and moon.
    Phenomenon {
        /// Many stars.
        Stars = "stars",
        /// Northern lights.
        Aurora = "aurora",
        /// A rainbow.
        Rainbow = "rainbow",
    }
}

words! {
    /// The sun or the moon.
    Luminary {
        /// The sun.
        Sun = "sun",
        /// The moon, full.
        FullMoon = "full moon",
        /// The moon as a crescent.
        CrescentMoon = "crescent moon",
    }
}

words! {
    /// The third of the picture's width that the sun or the moon stands in.
    Side {
        /// The left third.
        Left = "left",
        /// The middle third.
        Middle = "middle",
        /// The right third.
        Right = "right",
    }
}

words! {
    /// How high the sun or the moon stands.
    Height {
        /// Just above the land.
        Low = "low",
        /// Near the top of the picture.
        High = "high",
    }
}

words! {
    /// The season, where the plants or the snow show it.
    Season {
        /// Flowers and blossoms.
        Spring = "spring",
        /// Green.
        Summer = "summer",
        /// Red and golden leaves.
        Autumn = "autumn",
        /// Snow on the ground.
        Winter = "winter",
    }
}

words! {
    /// A thing on the ground or on the water.
    Landmark {
        /// Two or three large trees.
        Trees = "trees",
        /// Palms.
        Palms = "palms",
        /// Cacti.
        Cacti = "cacti",
        /// A lighthouse.
        Lighthouse = "lighthouse",
        /// A house with lit windows.
        House = "house",
        /// A windmill.
        Windmill = "windmill",
        /// A sailboat.
        Sailboat = "sailboat",
        /// A bridge.
        Bridge = "bridge",
    }
}

words! {
    /// A thing in the air.
    Flyer {
        /// A flock of birds.
        Birds = "birds",
        /// A hot-air balloon.
        Balloon = "balloon",
    }
}

words! {
    /// How the scene is rendered.
    Style {
        /// Soft and textured.
        Painterly = "painterly",
        /// Flat layers that throw little shadows.
        PaperCut = "paper-cut",
    }
}

words! {
    /// What the front of the picture is left to.
    Front {
        /// Landmarks and plants may stand there.
        Filled = "filled",
        /// It stays open, so that a thing can stand there.
        Open = "open",
    }
}

/// The sun or the moon and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Light {
    /// Which of them.
    pub luminary: Luminary,
    /// Where, across.
    pub side: Side,
    /// Where, in height.
    pub height: Height,
}
