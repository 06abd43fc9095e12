//! Functions of AWS Lambda in serverless.yml and SAM templates
//! (docs.aws.amazon.com/serverless-application-model, serverless.com/framework/docs).

use super::tree::{Node, documents};
use super::words::{integer, millis};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Setting, What};

pub(super) const SERVERLESS: Config = Config {
    name: "serverless template",
    product: Product::AwsLambda,
    fits,
    read,
    source: "https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-resource-function.html",
    example: "service: app\nprovider:\n  name: aws\nfunctions:\n  api:\n    handler: app.handler\n    timeout: 30\n",
};

fn fits(_: &str, text: &str) -> bool {
    let hint =
        ["functions", "AWS::", "AWSTemplateFormatVersion"].iter().any(|it| text.contains(it));
    hint && documents(text).iter().any(|it| {
        let handlers = it.map("functions").iter().any(|it| it.1.get("handler").is_some());
        let resource =
            |it: &str| it.starts_with("AWS::Serverless::") || it.starts_with("AWS::Lambda::");
        let resources = it.map("Resources").iter().any(|it| it.1.str("Type").is_some_and(resource));
        handlers || resources
    })
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::AwsLambda, text);
    for document in &documents(text) {
        for defaults in ["provider", "Globals/Function"].iter().filter_map(|it| document.at(it)) {
            function(&mut places, defaults);
        }
        for (name, node) in document.map("functions") {
            places.service(Some(name));
            places.add(What::Service { name: (*name).to_owned() }, name);
            function(&mut places, node);
        }
        for (name, node) in document.map("Resources") {
            let kind = node.str("Type").unwrap_or_default();
            if kind.ends_with("::Function") {
                places.service(Some(name));
                places.add(What::Service { name: (*name).to_owned() }, name);
                if let Some(properties) = node.get("Properties") {
                    function(&mut places, properties);
                }
            }
        }
        places.service(None);
    }
    places.settings
}

fn function<'t>(places: &mut Places<'t>, node: &Node<'t>) {
    for (key, value) in node.entries() {
        let Some(word) = value.as_str() else { continue };
        let quote = super::tree::entry(places.text(), key, value);
        match *key {
            "timeout" | "Timeout" => places.limit(Limit::Worker, millis(word, 1000), quote),
            "memorySize" | "MemorySize" => {
                let bytes = integer(word).and_then(|it| it.checked_mul(1 << 20));
                places.limit(Limit::Memory, bytes, quote);
            }
            "reservedConcurrency" | "ReservedConcurrentExecutions" => {
                places.limit(Limit::Concurrency, integer(word), quote);
            }
            "handler" | "Handler" => places.add(What::Runs { command: word.to_owned() }, quote),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn both_templates_are_read() {
        for (text, want) in [
            (
                "service: a\nprovider:\n  name: aws\n  timeout: 6\nfunctions:\n  api:\n    handler: a.b\n    timeout: 30\n    memorySize: 512\n",
                "AWS Lambda: Limit Worker 6000; [api] Service api; [api] Runs { command: \"a.b\" }; [api] Limit Worker 30000; [api] Limit Memory 536870912",
            ),
            (
                "Transform: AWS::Serverless-2016-10-31\nResources:\n  Api:\n    Type: AWS::Serverless::Function\n    Properties:\n      Handler: !Sub a.b\n      Timeout: 3\n",
                "AWS Lambda: [Api] Service Api; [Api] Runs { command: \"a.b\" }; [Api] Limit Worker 3000",
            ),
        ] {
            check_config("template.yaml", text, want);
        }
        assert!(!super::fits("serverless.yml", "functions: they fail"));
    }
}
