import{j as t,E as e}from"./index-aI4DdrLv.js";import"./charts-SoZ_76yV.js";function i(){return t.jsx(e,{title:"Not yet",children:"…"})}export{i as default};
