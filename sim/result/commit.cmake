# commit.cmake - writes the checkout's commit into a header, which changes only when the commit does.
#
# usage: cmake -DHEADER=FILE -DSOURCE=FOLDER -P commit.cmake     (at every build)
execute_process(COMMAND git -C ${SOURCE} describe --always --abbrev=12 --exclude=* --dirty=+
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE
                RESULT_VARIABLE failed ERROR_QUIET)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT "#define MESHTWIN_COMMIT \"${commit}\"\n")
