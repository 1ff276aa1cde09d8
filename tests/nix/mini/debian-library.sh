# Headers and libraries of installed Debian packages, in the store; programs too. Like the bootstrap it sees the machine.
set -e
export PATH=/usr/bin:/bin
mkdir -p $out/include $out/lib/pkgconfig $out/bin
L=/usr/lib/$(gcc -print-multiarch)
for package in $packages; do
    for f in $(dpkg -L $package); do
        [ ! -d $f ] || continue
        case $f in
        /usr/include/$(gcc -print-multiarch)/*) to=$out/include/${f#/usr/include/*/} ;;
        /usr/include/*) to=$out/include/${f#/usr/include/} ;;
        $L/pkgconfig/*) to=$out/lib/pkgconfig/$(basename $f) ;;
        $L/*.a | $L/*.so | $L/*.so.*) to=$out/lib/$(basename $f) ;;
        /lib/x86_64-linux-gnu/*.so*) to=$out/lib/$(basename $f) ;;
        /usr/bin/*) to=$out/bin/$(basename $f) ;;
        *) continue ;;
        esac
        mkdir -p "$(dirname $to)"
        cp -L $f $to
    done
done
sed -i "s|^prefix=.*|prefix=$out|;s|/usr/include|$out/include|g;s|$L|$out/lib|g;s|\${prefix}/lib/x86_64-linux-gnu|$out/lib|g" $out/lib/pkgconfig/*.pc 2>/dev/null || true
find $out/lib -name '*.so' -size -4k -exec sed -i "s|$L|$out/lib|g;s|/lib/x86_64-linux-gnu|$out/lib|g" {} +
for f in $out/bin/*; do
    patchelf --print-interpreter $f >/dev/null 2>&1 || continue
    patchelf --set-interpreter $tools/libc/lib/ld-linux-x86-64.so.2 --set-rpath $out/lib:$tools/libc/lib:$tools/lib $f
done
for f in $out/lib/*.so*; do patchelf --set-rpath $out/lib:$tools/libc/lib:$tools/lib $f 2>/dev/null || true; done
rmdir $out/bin $out/lib/pkgconfig 2>/dev/null || true
exit 0
