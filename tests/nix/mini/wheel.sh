# A package of Python from an installed one: with run paths, for wheels look for libgcc_s where the store has nothing.
set -e
export PATH=$tools/bin
site=$out/lib/$(basename $tools/bin/python3.*)/site-packages
mkdir -p $site
cp -r $src/. $site/
chmod -R u+w $out
rm -rf $site/bin $site/version-*
find $site -name '*.so' -exec patchelf --set-rpath $tools/libc/lib:$tools/lib {} \;
exit 0
