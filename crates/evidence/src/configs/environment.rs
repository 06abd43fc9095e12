//! Files of variables: `.env`. Of what may be secret only hosts and ports are kept.

use super::systemd::environment;
use super::words::lines;
use crate::product::Product;
use crate::setting::{Config, Places, Setting};

pub(super) const ENVIRONMENT: Config = Config {
    name: "environment file",
    product: Product::Shell,
    fits,
    read,
    source: "https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax",
    example: "PORT=8000\nDATABASE_URL=postgres://db:5432/app\n",
};

fn variable(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    let plain = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit() || it == b'_';
    let fits = name.len() > 1
        && name.bytes().all(plain)
        && name.starts_with(|it: char| it.is_ascii_uppercase());
    fits.then_some((name, value.trim(), line))
}

fn fits(_: &str, text: &str) -> bool {
    let mut all = lines(text).filter(|it| !it.starts_with('#')).peekable();
    all.peek().is_some() && all.all(|it| variable(it).is_some()) && !read("", text).is_empty()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Shell, text);
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        if let Some((name, value, quote)) = variable(line) {
            environment(&mut places, name, value, quote);
            places.product(Product::Shell);
        }
    }
    places.settings
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn ports_and_hosts_are_kept_and_nothing_else() {
        check_config(
            ".env",
            "# settings\nPORT=8000\nexport DATABASE_URL=\"postgres://me:hu@sh/x@db:5432/app\"\nSECRET_KEY=hush\nREDIS_HOST=cache\nSITE_URL=https://www.example.com\nAPI_URL=http://api:80/x\nDB_HOST=${HOST}\n",
            "the shell: PortGiven { port: 8000 }; Uses { address: \"db:5432\" }; Uses { address: \"cache\" }; Uses { address: \"api:80\" }; \
             Uses { address: \"${HOST}\" }",
        );
        assert!(!super::fits(".env", "SECRET_KEY=hush"));
        assert!(!super::fits(".env", "PORT=80\nand some words"));
    }
}
