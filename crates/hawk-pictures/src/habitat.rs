//! Which things may stand in a landscape, and how large they look there.

/// Where a thing may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Land,
    /// It floats.
    Water,
}

/// The size of a thing beside others, not to scale: an ant must still be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Small,
    Medium,
    Large,
}

/// Things by their names, separated by commas.
const LISTS: [(Place, Size, &str); 5] = [
    (
        Place::Land,
        Size::Small,
        "mouse, rabbit, hedgehog, hamster, chipmunk, hatching chick, baby chick, bird, dove, frog, lizard, snake, crab, \
         snail, bug, ant, beetle, lady beetle, cricket, spider, scorpion, spiral shell, mushroom, four leaf clover, \
         seedling, egg, soccer ball, baseball, basketball, volleyball, red apple, green apple, candle, bell, \
         game die, alarm clock, running shoe, teapot",
    ),
    (
        Place::Land,
        Size::Medium,
        "dog, cat, fox, pig, goat, panda, koala, sloth, monkey, wolf, raccoon, leopard, ram, otter, skunk, badger, \
         poodle, turkey, chicken, rooster, penguin, eagle, duck, swan, owl, flamingo, peacock, turtle, seal, kangaroo, \
         potted plant, cactus, rose, sunflower, tulip, hibiscus, pineapple, watermelon, motorcycle, motor scooter, \
         bicycle, kick scooter, skateboard, snowman, jack-o-lantern, wrapped gift, trophy, teddy bear, backpack, \
         handbag, guitar, violin, banjo, drum, telephone, television, package, money bag, briefcase, telescope, \
         microscope, chair, toilet, bathtub, basket, bucket, broom, ghost, robot, alien, birthday cake, crown, \
         top hat, hourglass, lion, tiger, anchor",
    ),
    (
        Place::Land,
        Size::Large,
        "horse, zebra, deer, cow, camel, giraffe, elephant, rhinoceros, bear, gorilla, unicorn, ox, llama, \
         hippopotamus, crocodile, dragon, T-Rex, evergreen tree, deciduous tree, palm tree, house, castle, tent, \
         fountain, locomotive, bus, ambulance, fire engine, police car, taxi, automobile, delivery truck, tractor, \
         racing car, helicopter, rocket, flying saucer, Christmas tree, door",
    ),
    (Place::Water, Size::Medium, "duck, swan, seal, dolphin, canoe, flamingo"),
    (Place::Water, Size::Large, "sailboat, speedboat, ship, whale, spouting whale"),
];

/// How large the named thing looks in this place; nothing where it cannot be there.
pub(crate) fn size(phrase: &str, place: Place) -> Option<Size> {
    let lists = LISTS.iter().filter(|(of, ..)| *of == place);
    lists.filter(|(.., names)| names.split(", ").any(|name| name == phrase)).map(|(_, size, _)| *size).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_thing_of_the_recipe_and_stands_once_in_a_place() {
        let recipe: serde_json::Value = serde_json::from_str(crate::recipe::EMOJI).unwrap();
        let objects: Vec<&str> = recipe["objects"].as_array().unwrap().iter().map(|o| o.as_str().unwrap()).collect();
        for place in [Place::Land, Place::Water] {
            let mut names: Vec<&str> =
                LISTS.iter().filter(|list| list.0 == place).flat_map(|list| list.2.split(", ")).collect();
            for name in &names {
                assert!(objects.contains(name) || *name == "hourglass", "{name}");
            }
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
    }

    #[test]
    fn ships_float_and_foxes_do_not() {
        assert_eq!(size("ship", Place::Water), Some(Size::Large));
        assert_eq!((size("ship", Place::Land), size("fox", Place::Water)), (None, None));
        assert_eq!(size("fox", Place::Land), Some(Size::Medium));
    }
}
