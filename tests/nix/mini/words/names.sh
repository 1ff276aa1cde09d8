echo '#define PROGRAM "words"'
