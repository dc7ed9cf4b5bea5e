use super::*;

const OLD: &str = "
    pub const A: &'static str = \"x\";
    const PRIVATE: u8 = 1;
    pub mod types {
        #[derive(Clone, ::serde::Serialize)] #[non_exhaustive] pub struct X { pub a: ::std::option::Option<u8>, b: u8 }
        impl X { pub fn new(a: u8, b: u8) -> Self { todo!() } fn hidden(&self) {} }
        impl ::std::fmt::Debug for X {}
        impl ::std::convert::From<u8> for X {}
        pub enum E { One(u8), Two }
    }";

fn read(text: &str) -> PublicApi {
    read_generated(&syn::parse_file(text).unwrap()).unwrap()
}

fn differences(from: &str, to: &str) -> Vec<Difference> {
    let new = OLD.replace(from, to);
    assert_ne!(new, OLD);
    read(OLD).differences(&read(&new))
}

#[test]
fn public_items_are_listed_with_their_types() {
    insta::assert_snapshot!(read(OLD).to_string(), @r#"
    const A: &'static str
    enum types::E
    field types::X.a: Option<u8>
    fn types::X::new(a: u8, b: u8) -> Self
    impl Clone for types::X
    impl serde::Serialize for types::X
    impl std::convert::From<u8> for types::X
    impl std::fmt::Debug for types::X
    struct types::X: non_exhaustive
    variant types::E::One: (u8)
    variant types::E::Two
    "#);
}

#[test]
fn a_difference_is_breaking_if_an_item_is_changed_or_removed() {
    for (from, to) in [
        ("\"x\"", "\"y\""),
        ("PRIVATE: u8", "PRIVATE: u16"),
        ("hidden(&self)", "hidden(self)"),
        ("new(a: u8, b: u8)", "new(c: u8, b: u8)"),
        // A derived trait that is now implemented by hand.
        ("#[derive(Clone, ::serde::Serialize)]", "impl ::std::clone::Clone for X {} #[derive(::serde::Serialize)]"),
        ("impl ::std::convert::From<u8> for X {}", "impl From<u8> for X {}"),
        ("#[derive(Clone, ::serde::Serialize)]", "/// Prose.\n#[derive(::serde::Serialize, Clone)]"),
    ] {
        assert_eq!(differences(from, to), Vec::new(), "{to}");
    }
    for (from, to) in [
        ("Two", "Two, Three"),
        ("Clone", "Clone, Copy"),
        ("b: u8 }", "pub b: u8 }"),
        ("pub enum", "pub struct N; pub enum"),
    ] {
        let differences = differences(from, to);
        assert!(
            !differences.is_empty() && differences.iter().all(|difference| !difference.is_breaking()),
            "{to}: {differences:?}"
        );
    }
    for (from, to) in [
        ("pub const", "const"),
        ("Clone, ", ""),
        ("pub a", "a"),
        ("Option<u8>", "Option<u16>"),
        ("One(u8)", "One"),
        ("Two", "Three"),
        ("new(a: u8, b: u8)", "new(b: u8, a: u8)"),
        ("new(a: u8, b: u8)", "new(a: u8)"),
        ("impl ::std::fmt::Debug for X {}", ""),
    ] {
        assert!(differences(from, to).iter().any(Difference::is_breaking), "{to}");
    }
}
