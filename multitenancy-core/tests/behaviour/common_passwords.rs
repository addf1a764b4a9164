//! S37: what everybody's passwords look like, and one's own names.

use multitenancy_core::auth::PasswordPolicy;
use multitenancy_testkit::fixtures::email;

use crate::support::{ADA, App, PASSWORD, registration};

const PUBLISHED: &str = include_str!("../data/common_passwords.txt");

fn refuses(policy: &PasswordPolicy, password: &str, names: &[&str]) -> bool {
    match policy.check(&password.into(), &email("ada.lovelace@analytical-engines.example"), names) {
        Ok(()) => false,
        Err(error) => {
            assert_eq!(error.fields()[0].code, "too_common", "{password}");
            true
        }
    }
}

/// Makes the word long enough the ways people do.
fn stretched(word: &str) -> Vec<String> {
    let long_enough = |mut text: String, with: &str| {
        while text.chars().count() < 12 {
            text.push_str(with);
        }
        text
    };
    let capital: String = word[..1].to_uppercase() + &word[1..];
    let leet: String = word
        .chars()
        .map(|letter| match letter {
            'a' => '@',
            'e' => '3',
            'i' => '1',
            'o' => '0',
            's' => '$',
            other => other,
        })
        .collect();
    vec![
        long_enough(word.to_owned(), word),
        long_enough(word.repeat(2), word),
        long_enough(format!("{word}123456"), "789"),
        long_enough(format!("{word}2024"), "2024"),
        long_enough(format!("{capital}2024!"), "!"),
        long_enough(format!("{capital}@123"), "123"),
        long_enough(format!("password{word}"), "1"),
        long_enough(leet.repeat(2), &leet),
        long_enough(word.chars().rev().collect::<String>(), "123"),
        long_enough(format!("{}!!!", word.to_uppercase()), "1"),
    ]
}

/// S37: what published lists hold of 12 characters and more, and the 1,500 commonest words made as long in ten ways:
/// every one is refused.
#[test]
fn s37_common_passwords_are_refused() {
    let (long, words) = PUBLISHED.split_once("---\n").unwrap();
    let long = long.lines().filter(|line| !line.starts_with('#')).map(str::to_owned);
    let corpus: Vec<String> = long.chain(words.lines().flat_map(stretched)).collect();
    let policy = PasswordPolicy::default();
    let accepted: Vec<&String> = corpus.iter().filter(|password| !refuses(&policy, password, &[])).collect();
    println!("S37: {} of {} refused", corpus.len() - accepted.len(), corpus.len());
    assert!(corpus.len() >= 3_000);
    assert!(accepted.is_empty(), "{} accepted: {:?}", accepted.len(), &accepted[..accepted.len().min(30)]);
}

/// S37: the rule refuses nobody who does it right: four words of chance, or twelve characters.
#[test]
fn s37_decent_passwords_are_accepted() {
    let decent = [
        "lintel-walnut-46-orbit",
        "marble tundra oyster violin",
        "quiet harbor seven lanterns",
        "purple kettle dances slowly",
        "seven otters juggle pears",
        "window cactus trumpet ferry",
        "my cat naps on warm toast",
        "the moon tastes of cinnamon",
        "gravel sonnet pickle glacier",
        "Tr4verse-Quilt-Omen-Basin",
        "vast umbrella sings at dawn",
        "copper fiddle winter gazebo",
        "eight brave teapots marching",
        "hollow pine walrus basket",
        "amber ostrich folding ladder",
        "rain over tin roofs in june",
        "ink mosaic thistle drum",
        "horse battery staple bridge",
        "blue whale song at midnight",
        "i love my dog max dearly",
        "корабль туман лампа девять",
        "Zwölf Schwäne trinken Kaffee",
        "une girafe mange du velours",
        "dos pinguinos leen poesia",
        "x7Kq2mVz9LpTr4Wn",
        "b8fJ2kQz7wXm4RtY",
        "aJ7#mQ2!xT9&bK4z",
        "k2!vW8@rN5#tY1$m",
        "nP6tX2cV9bM4qL8s",
        "W8yR4uE2iO6pA0sD",
        "kq9xw2mzr7tp",
        "hT4!wq9Zr2#L",
    ];
    assert!(decent.len() >= 30);
    for password in decent {
        assert!(!refuses(&PasswordPolicy::default(), password, &[]), "{password}");
    }
}

/// S37: one's own names, the tenant's and the product's are as common to whoever knows the user, alone and stretched.
#[test]
fn s37_own_names_are_refused() {
    let policy = PasswordPolicy::default().with_names(["Trackotron"]);
    let names = ["Brightwater Logistics", "brightwater-logistics", "Wilhelmina Zuckerkandl"];
    for password in [
        // Of the address.
        "ada.lovelace@analytical-engines.example",
        "adalovelace2024",
        "Ada.Lovelace1",
        "lovelacelovelace",
        "analyticalengines",
        "analytical-engines",
        "Analytical-Engines.Example!",
        // Of the tenant.
        "brightwaterlogistics",
        "Brightwater Logistics",
        "brightwater-logistics",
        "Brightwater2024!",
        "brightwaterbrightwater",
        "logistics123456",
        "BRIGHTWATER-LOGISTICS-1",
        "br1ghtw@terl0gistics",
        // Of the user.
        "Zuckerkandl2024",
        "wilhelminazuckerkandl",
        "Wilhelmina!123",
        "ldnakrekcuz123",
        // Of the product.
        "trackotrontrackotron",
        "Trackotron2024!",
        "multitenancy2024",
        "multitenancymultitenancy",
        "MULTITENANCY-1",
    ] {
        assert!(refuses(&policy, password, &names), "{password}");
    }
    assert!(
        !refuses(&policy, "brightwater gravel sonnet kettle pickle", &names),
        "among enough else a name is welcome"
    );
}

/// S37: the tenant's name and slug and the user's own name come to the policy by themselves.
#[tokio::test]
async fn s37_registering_knows_the_names() {
    let app = App::new();
    let (_, realm) = app.tenant("brightwater-logistics").await;
    for (address, password, full_name) in [
        (ADA, "brightwater-logistics-1", None),
        (ADA, "BrightwaterLogistics!", None),
        (ADA, "Zuckerkandl-2024", Some("Wilhelmina Zuckerkandl")),
        ("trusztkowski@example.com", "trusztkowski2024", None),
    ] {
        let mut wanted = registration(address);
        (wanted.password, wanted.full_name) = (password.into(), full_name.map(str::to_owned));
        let refused = multitenancy_testkit::failure(app.tenancy.accounts().register(&realm, wanted).await);
        assert_eq!(
            (refused.fields()[0].field.as_str(), refused.fields()[0].code),
            ("password", "too_common"),
            "{password}"
        );
    }
    let mut wanted = registration(ADA);
    wanted.password = PASSWORD.into();
    app.tenancy.accounts().register(&realm, wanted).await.unwrap();
}
