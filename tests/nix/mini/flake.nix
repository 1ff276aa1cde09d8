{
  description = "The small nixpkgs of gg's tests";
  outputs = { self }: { legacyPackages.x86_64-linux = import ./. { }; };
}
