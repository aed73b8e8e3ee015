//! Generates the messages from the two .proto files; protox parses them, so no protoc is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=hub.proto");
    println!("cargo:rerun-if-changed=dwork.proto");
    let files = protox::compile(["hub.proto", "dwork.proto"], ["."])?;
    prost_build::Config::new().compile_fds(files)?;
    Ok(())
}
