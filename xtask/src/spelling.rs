//! Common misspellings in code and documents. The list is our own: a checker with a whole dictionary takes minutes to
//! build, and would need every name of this project as an exception.

use crate::workspace::SourceFile;

/// Wrong spellings, in lower case, a word in two parts where it ends late.
const WRONG: &[(&str, &str)] = &[
    ("accomo", "date"),
    ("acheiv", "e"),
    ("acknowl", "egement"),
    ("adres", "s"),
    ("aggreg", "rate"),
    ("agressiv", "e"),
    ("alread", "dy"),
    ("apparant", "ly"),
    ("appen", "ed "),
    ("arguement", ""),
    ("asynchron", "ious"),
    ("authent", "icaton"),
    ("authoriz", "aton"),
    ("availab", "ilty"),
    ("becuas", "e"),
    ("beggin", "ing"),
    ("beleiv", "e"),
    ("calender", ""),
    ("cancela", "tion"),
    ("comit", "ted"),
    ("commi", "tt "),
    ("compatib", "ilty"),
    ("concurent", ""),
    ("conec", "tion"),
    ("connecion", ""),
    ("consistan", "t"),
    ("containg", ""),
    ("curren", "ly"),
    ("databse", ""),
    ("defin", "ately"),
    ("dependan", "cy"),
    ("dependend", ""),
    ("deploym", "net"),
    ("desciption", ""),
    ("dissapear", ""),
    ("doesnt", ""),
    ("enviro", "ment"),
    ("equival", "ant"),
    ("excut", "e"),
    ("existan", "ce"),
    ("explic", "ity"),
    ("futher", ""),
    ("gaurant", "ee"),
    ("garantee", ""),
    ("happend", ""),
    ("heirarch", "y"),
    ("identifer", ""),
    ("immediat", "ly"),
    ("implem", "ention"),
    ("independan", "t"),
    ("indentif", "y"),
    ("initalis", "e"),
    ("initaliz", "e"),
    ("inser", "tt"),
    ("isolat", "on "),
    ("langu", "gage"),
    ("lenght", ""),
    ("liase", ""),
    ("maintai", "nance"),
    ("mesage", ""),
    ("migrat", "on "),
    ("neccess", "ary"),
    ("necess", "ery"),
    ("occas", "sion"),
    ("occurance", ""),
    ("occured", ""),
    ("occuring", ""),
    ("organis", "zation"),
    ("paramter", ""),
    ("parrallel", ""),
    ("paralel", ""),
    ("permiss", "on "),
    ("persistan", "t"),
    ("posible", ""),
    ("preceed", ""),
    ("prefered", ""),
    ("priviledge", ""),
    ("privelege", ""),
    ("proceedure", ""),
    ("provison", ""),
    ("publically", ""),
    ("recieve", ""),
    ("recomend", ""),
    ("reccomend", ""),
    ("refered", ""),
    ("registery", ""),
    ("relevent", ""),
    ("repositry", ""),
    ("responsib", "ilty"),
    ("retreive", ""),
    ("retrive", ""),
    ("seperat", "e"),
    ("sessoin", ""),
    ("similiar", ""),
    ("succesful", ""),
    ("sucess", ""),
    ("succede ", ""),
    ("supress", ""),
    ("suprise", ""),
    ("synchronis", "zed"),
    ("teh ", ""),
    ("tennant", ""),
    ("threshhold", ""),
    ("throught ", ""),
    ("transacton", ""),
    ("transfered", ""),
    ("truely", ""),
    ("unkown", ""),
    ("untill ", ""),
    ("usefull", ""),
    ("wether ", ""),
    ("wich ", ""),
    ("withold", ""),
    ("writting", ""),
];

/// Each line with a misspelt word.
pub fn faults(files: &[SourceFile]) -> Vec<String> {
    let words: Vec<String> = WRONG.iter().map(|(one, other)| format!("{one}{other}")).collect();
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| !file.path.ends_with("xtask/src/spelling.rs")) {
        for (number, line) in file.text.lines().enumerate() {
            let line = line.to_lowercase();
            let found = words.iter().filter(|word| starts_a_word(&line, word));
            faults.extend(
                found.map(|word| format!("{}:{}: `{}` is misspelt", file.path, number + 1, word.trim())),
            );
        }
    }
    faults
}

fn starts_a_word(line: &str, wrong: &str) -> bool {
    line.match_indices(wrong).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_is_found() {
        let file = |text: &str| SourceFile { path: "a.md".into(), text: text.into() };
        let text = ["Rows are kept seper", "ately."].concat();
        assert_eq!(faults(&[file(&text)]).len(), 1);
        assert_eq!(faults(&[file("Rows are kept separately, which is a surprise.")]), Vec::<String>::new());
    }
}
