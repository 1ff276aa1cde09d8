# Makes the wrappers of compiler and linker around the bootstrap's.
set -e
export PATH=$tools/bin
mkdir -p $out/bin $out/nix-support $out/libexec
fill() { sed -e "s|@shell@|$shell|g;s|@out@|$out|g;s|@tools@|$tools|g;s|@prog@|$2|g" $1; }
L="-B$libc/lib/"
$cc/bin/gcc $L -idirafter $libc/include -idirafter $libc/include/x86_64-linux-gnu -L$libc/lib -Wl,-rpath,$libc/lib \
    -Wl,-dynamic-linker=$libc/lib/ld-linux-x86-64.so.2 -O2 -o $out/libexec/expand-response-params $expander
fill $utils >$out/nix-support/utils.bash
cp $hardening $out/nix-support/add-hardening.sh
echo "$L -idirafter $libc/include -idirafter $libc/include/x86_64-linux-gnu" >$out/nix-support/libc-cflags
version=$(echo $cc/include/c++/*)
echo "-isystem $version -isystem $version/x86_64-linux-gnu -isystem $version/backward" >$out/nix-support/libcxx-cxxflags
echo "-L$libc/lib" >$out/nix-support/libc-ldflags
echo "-L$cc/lib" >$out/nix-support/cc-ldflags
echo "$libc/lib/ld-linux-x86-64.so.2" >$out/nix-support/dynamic-linker
for t in gcc g++ cpp; do
    fill $wrapper $cc/bin/$t >$out/bin/$t
    chmod +x $out/bin/$t
done
ln -s gcc $out/bin/cc
ln -s g++ $out/bin/c++
fill $ldwrapper $cc/bin/ld >$out/bin/ld
chmod +x $out/bin/ld
for t in as ar nm ranlib strip objdump objcopy readelf size strings; do ln -s $cc/bin/$t $out/bin/$t; done
exit 0
